import { Batch } from "../../../core/coalesce.ts";
import { failureOf, type Port } from "../../../core/threads.ts";
import type { FolderKeeper } from "../folder_keeper.ts";
import type { Answer, FromOwner, StoreAnswer, StoreCall, ToOwner } from "./messages.ts";

/** The owner's side of the lines to all threads that use its folders. */
export class StoreServer {
  readonly #stores: readonly (FolderKeeper | undefined)[];
  readonly #lines = new Set<Line>();

  /** By the number of the tier; undefined where a tier has no folder. */
  constructor(stores: readonly (FolderKeeper | undefined)[]) {
    this.#stores = stores;
  }

  /**
   * Serves one thread until the port closes or the function that it returns is called: then what the thread held is
   * given back.
   */
  attach(port: Port<FromOwner, ToOwner>): () => void {
    const line = new Line(port, this.#stores);
    this.#lines.add(line);
    for (const [tier, store] of this.#stores.entries()) {
      if (store?.trouble !== undefined) line.send({ kind: "trouble", tier, trouble: store.trouble });
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
  readonly #stores: readonly (FolderKeeper | undefined)[];
  readonly #heldBytes: number[] = [];
  /** All answers of one turn go in one message. */
  readonly #answers = new Batch<Answer>((answers) => this.send({ kind: "answers", answers }));
  #ended = false;

  constructor(port: Port<FromOwner, ToOwner>, stores: readonly (FolderKeeper | undefined)[]) {
    this.#port = port;
    this.#stores = stores;
  }

  hear({ calls }: ToOwner): void {
    for (const { id, tier, call } of calls) {
      this.#run(id, tier, call).then(
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
    for (const [tier, bytes] of this.#heldBytes.entries()) this.#stores[tier]?.release(bytes ?? 0);
    this.#port.close();
  }

  async #run(id: number, tier: number, call: StoreCall): Promise<StoreAnswer> {
    const store = this.#stores[tier];
    if (store === undefined) throw new RangeError(`ask storage thread: no folder of tier ${tier}`);
    switch (call.method) {
      case "find":
        return await store.find(call.key, call.use);
      case "change": {
        if (call.change.kind === "file") this.#holds(tier, -call.change.heldBytes);
        return await store.change(call.change);
      }
      case "hold": {
        const held = await store.hold(call.bytes, call.heldBytes);
        this.#holds(tier, held - call.heldBytes);
        return held;
      }
      case "release":
        this.#holds(tier, -call.bytes);
        store.release(call.bytes);
        return undefined;
      case "relieve":
        return await store.relieve(call.bytes);
      case "clear":
        return await store.clear(call.tenant, () => this.send({ kind: "invisible", id }));
      case "list":
        return await store.list(call.query);
      case "usage":
        return await store.usage();
      default:
        throw new RangeError(`ask storage thread: ${JSON.stringify(call satisfies never)}`);
    }
  }

  #holds(tier: number, bytes: number): void {
    this.#heldBytes[tier] = (this.#heldBytes[tier] ?? 0) + bytes;
  }
}
