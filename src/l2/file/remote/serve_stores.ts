import { Batch } from "../../../core/coalesce.ts";
import { failureOf, type Port } from "../../../core/threads.ts";
import type { FolderKeeper } from "../folder_keeper.ts";
import type { Answer, FolderAnswer, FolderCall, FromOwner, ToOwner } from "./messages.ts";

/** The owner's side of the lines to all threads that use its folders. */
export class StoreServer {
  readonly #folders: readonly (FolderKeeper | undefined)[];
  readonly #lines = new Set<Line>();

  /** By the number of the tier; undefined where a tier has no folder. */
  constructor(folders: readonly (FolderKeeper | undefined)[]) {
    this.#folders = folders;
  }

  /** Serves one thread until the port closes or the function that it returns is called. */
  attach(port: Port<FromOwner, ToOwner>): () => void {
    const line = new Line(port, this.#folders);
    this.#lines.add(line);
    for (const [tier, folder] of this.#folders.entries()) {
      if (folder?.trouble !== undefined) line.send({ kind: "trouble", tier, trouble: folder.trouble });
    }
    const detach = (): void => {
      if (this.#lines.delete(line)) line.end();
    };
    port.listen((message) => line.hear(message), detach);
    return detach;
  }

  /** Tells all threads that a segment's file is gone, or whether a folder can be used. */
  tell(message: FromOwner & { readonly kind: "dropped" | "trouble" }): void {
    for (const line of this.#lines) line.send(message);
  }
}

class Line {
  readonly #port: Port<FromOwner, ToOwner>;
  readonly #folders: readonly (FolderKeeper | undefined)[];
  /** All answers of one turn go in one message. */
  readonly #answers = new Batch<Answer>((answers) => this.send({ kind: "answers", answers }));
  #ended = false;

  constructor(port: Port<FromOwner, ToOwner>, folders: readonly (FolderKeeper | undefined)[]) {
    this.#port = port;
    this.#folders = folders;
  }

  hear({ calls }: ToOwner): void {
    for (const { id, tier, call } of calls) {
      this.#run(tier, call).then(
        (value) => this.#answers.add({ id, value }),
        (error: unknown) => this.#answers.add({ id, failure: failureOf(error) }),
      );
    }
  }

  send(message: FromOwner): void {
    if (!this.#ended) this.#port.post(message);
  }

  end(): void {
    this.#ended = true;
    this.#port.close();
  }

  async #run(tier: number, call: FolderCall): Promise<FolderAnswer> {
    const folder = this.#folders[tier];
    if (folder === undefined) throw new RangeError(`ask storage thread: no folder of tier ${tier}`);
    if (call.method === "find") return await folder.find(call.key, call.use);
    if (call.method === "damaged") return await folder.damaged(call.row);
    return call.method === "list" ? await folder.list(call.query) : await folder.usage();
  }
}
