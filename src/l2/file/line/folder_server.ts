import { Batch } from "../../../core/coalesce.ts";
import { failureOf, type Port } from "../../../core/threads.ts";
import type { L2Adapter } from "../../adapter.ts";
import type { FolderKeeper } from "../folder_keeper.ts";
import type { Answer, FolderAnswer, FolderCall, FromOwner, ToOwner } from "./messages.ts";
import { ServedFiles } from "./served_files.ts";

/** A folder that is served, and the adapter over it that stores large objects, if another thread makes changes. */
export interface ServedFolder {
  readonly keeper: FolderKeeper;
  readonly adapter?: L2Adapter | undefined;
}

/** The owner's side of the connections to all threads that use its folders. */
export class FolderServer {
  readonly #folders: readonly (ServedFolder | undefined)[];
  readonly #lines = new Set<Line>();
  /** Lines that have ended and whose changes are still being made. */
  readonly #ending = new Set<Promise<void>>();

  /** `folders`: by the index of the tier; undefined for a tier without a folder here. */
  constructor(folders: readonly (ServedFolder | undefined)[]) {
    this.#folders = folders;
  }

  /**
   * Serves one thread until the port closes or the returned function is called. Its calls begin when the changes of
   * earlier lines have been made, so that the next owner of the tiers finds each of them made or failed.
   */
  attach(port: Port<FromOwner, ToOwner>): () => void {
    const line = new Line(port, this.#folders);
    this.#lines.add(line);
    for (const [tier, folder] of this.#folders.entries()) {
      const trouble = folder?.keeper.trouble;
      if (trouble !== undefined) line.send({ kind: "trouble", tier, trouble });
    }
    const detach = (): void => {
      if (!this.#lines.delete(line)) return;
      const ending = line.end();
      this.#ending.add(ending);
      void ending.then(() => this.#ending.delete(ending));
    };
    line.begin(this.#ending.size === 0 ? undefined : Promise.all(this.#ending), detach);
    return detach;
  }

  /** Notifies all threads that a segment's file was removed, or that a folder has become unusable or usable. */
  tell(message: FromOwner & { readonly kind: "dropped" | "trouble" }): void {
    for (const line of this.#lines) line.send(message);
  }
}

class Line {
  readonly #port: Port<FromOwner, ToOwner>;
  readonly #folders: readonly (ServedFolder | undefined)[];
  /** Sends all answers of one turn of the event loop in one message. */
  readonly #answers = new Batch<Answer>((answers) => this.send({ kind: "answers", answers }));
  /** By the index of the tier. */
  readonly #files = new Map<number, ServedFiles>();
  /** Changes in progress, besides those of large objects. */
  readonly #changing = new Set<Promise<unknown>>();
  /** The messages that came before the line began. */
  #held: ToOwner[] | undefined = [];
  #ended = false;

  constructor(port: Port<FromOwner, ToOwner>, folders: readonly (ServedFolder | undefined)[]) {
    this.#port = port;
    this.#folders = folders;
  }

  /** Begins to answer, after `before` if that is given. */
  begin(before: Promise<unknown> | undefined, onClose: () => void): void {
    this.#port.listen((message) => this.#held === undefined ? this.#hear(message) : this.#held.push(message), onClose);
    const begin = (): void => {
      const held = this.#held ?? [];
      this.#held = undefined;
      for (const message of held) this.#hear(message);
    };
    if (before === undefined) begin();
    else void before.then(begin);
  }

  send(message: FromOwner): void {
    if (!this.#ended) this.#port.post(message);
  }

  /** Ignores what comes from now on; resolves when the changes in progress have been made or have failed. */
  async end(): Promise<void> {
    this.#ended = true;
    this.#port.close();
    await Promise.all([...this.#files.values()].map((files) => files.end()));
    await Promise.allSettled(this.#changing);
  }

  #hear({ calls }: ToOwner): void {
    if (this.#ended) return;
    for (const { id, tier, call } of calls) {
      this.#run(id, tier, call).then(
        (value) => this.#answers.add({ id, value }),
        (error: unknown) => this.#answers.add({ id, failure: failureOf(error) }),
      );
    }
  }

  async #run(id: number, tier: number, call: FolderCall): Promise<FolderAnswer> {
    const folder = this.#folders[tier];
    if (folder === undefined) throw new RangeError(`ask owner of folders: no folder of tier ${tier}`);
    const { keeper, adapter } = folder;
    const files = this.#filesOf(tier);
    const { order } = files;
    if (call.method === "find") return await order.read(call.key, () => keeper.find(call.key, call.use));
    if (call.method === "has") return await order.read(undefined, () => keeper.has(call.keys));
    if (call.method === "damaged") return await keeper.damaged(call.row);
    if (call.method === "list") return await order.read(undefined, () => keeper.list(call.query));
    if (call.method === "usage") return await keeper.usage();
    if (call.method === "keys") return await keeper.keys(call.after, call.limit);
    if (call.method === "change") {
      const { change } = call;
      const { key } = change.kind === "damaged" ? change.row : change;
      return await this.#track(order.step(key, () => keeper.change(change)));
    }
    if (call.method === "clear") return await this.#clear(id, { files, keeper, tenant: call.tenant });
    if (call.method === "finish") return await files.finish(call.stream, call.meta);
    if (call.method === "confirm") return files.confirm(call.stream, call.isWanted);
    if (call.method === "abort") return files.abort(call.stream);
    if (adapter === undefined) throw new RangeError(`store object: no changes of tier ${tier} over this line`);
    const { opens, start, end } = call;
    return await files.chunk(call.stream, { adapter, opens, start, end });
  }

  async #clear(
    id: number,
    { files, keeper, tenant }: {
      readonly files: ServedFiles;
      readonly keeper: FolderKeeper;
      readonly tenant: string | undefined;
    },
  ): Promise<number> {
    const invisible = Promise.withResolvers<void>();
    const clear = async (): Promise<number> => {
      await files.order.all();
      return await keeper.clear(tenant, () => {
        invisible.resolve();
        this.send({ kind: "invisible", id });
      });
    };
    const clearing = clear();
    // What is left then disturbs no other change, and may take long.
    await this.#track(Promise.race([invisible.promise, clearing]));
    return await clearing;
  }

  async #track<T>(changing: Promise<T>): Promise<T> {
    this.#changing.add(changing);
    try {
      return await changing;
    } finally {
      this.#changing.delete(changing);
    }
  }

  #filesOf(tier: number): ServedFiles {
    const known = this.#files.get(tier);
    if (known !== undefined) return known;
    const files = new ServedFiles((stream) => this.send({ kind: "confirm", tier, stream }));
    this.#files.set(tier, files);
    return files;
  }
}
