import { Batch } from "../../core/coalesce.ts";
import { failureOf, type Port } from "../../core/threads.ts";
import type { FolderKeeper } from "./folder_keeper.ts";
import type { Answer, FolderAnswer, FolderCall, FromOwner, ToOwner } from "./folder_line.ts";

/** The owner's side of the connections to all threads that use its folders. */
export class StoreServer {
  readonly #folders: readonly (FolderKeeper | undefined)[];
  readonly #lines = new Set<Line>();

  /** `folders`: by the index of the tier; undefined for a tier without a folder. */
  constructor(folders: readonly (FolderKeeper | undefined)[]) {
    this.#folders = folders;
  }

  /** Serves one thread until the port closes or the returned function is called. */
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

  /** Notifies all threads that a segment's file was removed, or that a folder has become unusable or usable. */
  tell(message: FromOwner & { readonly kind: "dropped" | "trouble" }): void {
    for (const line of this.#lines) line.send(message);
  }
}

class Line {
  readonly #port: Port<FromOwner, ToOwner>;
  readonly #folders: readonly (FolderKeeper | undefined)[];
  /** Sends all answers of one turn of the event loop in one message. */
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
