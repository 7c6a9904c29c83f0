import { VitrineError } from "../../../src/core/errors.ts";
import { etagOf } from "../../../src/core/object.ts";
import { drainRead, key, put } from "../storage_bench.ts";
import type { Member } from "./member.ts";

/**
 * Adds 1 to the number in an object so many times, each by a write on condition that the object is the one that was
 * read.
 */
export async function count(
  { storage }: Member,
  task: { readonly name: string; readonly times: number },
): Promise<void> {
  for (let done = 0; done < task.times;) {
    const read = await storage.get(key(task.name));
    if (read === undefined) throw new Error("the object is gone");
    const precondition = { match: [etagOf(read.meta)] };
    const number = Number(new TextDecoder().decode(await drainRead(read)));
    try {
      await put(storage, task.name, { body: String(number + 1), precondition });
      done += 1;
    } catch (error) {
      if (!(error instanceof VitrineError && error.code === "precondition_failed")) throw error;
    }
  }
}
