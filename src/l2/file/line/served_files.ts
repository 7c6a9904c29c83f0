import { VitrineError } from "../../../core/errors.ts";
import { HandOver, StreamWindow } from "../../../core/hand_over.ts";
import { keyId, type ObjectKey, type ObjectMeta } from "../../../core/object.ts";
import type { L2Adapter } from "../../adapter.ts";
import type { OpenedStream } from "./messages.ts";

/** An object that is being received. */
interface Stream {
  readonly opened: OpenedStream;
  readonly window: StreamWindow;
  readonly handOver: HandOver;
  /** The result of the store. */
  readonly stored: Promise<ObjectMeta>;
  /** Resolves when the previous chunks are stored. */
  tail: Promise<void>;
  meta: ObjectMeta | undefined;
  /** The answer to the question whether the object is still wanted. */
  readonly wanted: PromiseWithResolvers<void>;
}

/** Large objects that arrive over one line and are stored in a folder of this thread. */
export class ServedFiles {
  /** The order of the line's changes of this folder. */
  readonly order: KeyOrder = new KeyOrder();
  readonly #askWanted: (stream: number) => void;
  readonly #streams = new Map<number, Stream>();

  /** `askWanted` asks the owner of the tiers whether an object is still wanted; `confirm` has the answer. */
  constructor(askWanted: (stream: number) => void) {
    this.#askWanted = askWanted;
  }

  /** Stores the bytes from `start` to `end` of the stream's window. Throws what the tier throws. */
  async chunk(
    id: number,
    { adapter, opens, start, end }: {
      readonly adapter: L2Adapter;
      readonly opens: OpenedStream | undefined;
      readonly start: number;
      readonly end: number;
    },
  ): Promise<undefined> {
    if (opens !== undefined) this.#streams.set(id, this.#open(id, opens, adapter));
    const stream = this.#stream(id);
    stream.tail = stream.tail.then(() => stream.handOver.put(stream.window.bytes(start, end)));
    await Promise.race([stream.tail, failureOnly(stream.stored)]);
    return undefined;
  }

  /** Makes the object visible, after earlier changes of its key. Throws what the tier throws. */
  async finish(id: number, meta: ObjectMeta): Promise<undefined> {
    const stream = this.#stream(id);
    await this.order.run(stream.opened.key, async () => {
      stream.meta = meta;
      stream.handOver.end();
      await stream.stored;
    });
    this.#streams.delete(id);
    return undefined;
  }

  confirm(id: number, isWanted: boolean): undefined {
    const stream = this.#streams.get(id);
    if (!isWanted) stream?.wanted.reject(aborted());
    else if (stream !== undefined) {
      this.order.becomesVisible(stream.opened.key, stream.stored);
      stream.wanted.resolve();
    }
    return undefined;
  }

  /** Aborts the stream, unless it has finished. */
  abort(id: number): undefined {
    const stream = this.#streams.get(id);
    this.#streams.delete(id);
    stream?.handOver.fail(aborted());
    stream?.wanted.reject(aborted());
    return undefined;
  }

  /** Aborts all streams; resolves when none of them is being stored any more. */
  async end(): Promise<void> {
    const streams = [...this.#streams];
    for (const [id] of streams) this.abort(id);
    await Promise.allSettled(streams.map(([, { stored }]) => stored));
  }

  #stream(id: number): Stream {
    const stream = this.#streams.get(id);
    if (stream === undefined) throw aborted();
    return stream;
  }

  #open(id: number, opened: OpenedStream, adapter: L2Adapter): Stream {
    const handOver = new HandOver();
    const wanted = Promise.withResolvers<void>();
    // It may be rejected before anything awaits it.
    wanted.promise.catch(() => {});
    const { key, sizeBytes, atHand, durable } = opened;
    const meta = (): ObjectMeta => {
      const { meta } = this.#stream(id);
      if (meta === undefined) throw aborted();
      return meta;
    };
    const whenWanted = (): Promise<void> => {
      this.#askWanted(id);
      return wanted.promise;
    };
    const source = {
      chunks: handOver,
      durable,
      meta,
      whenWanted,
      ...(sizeBytes === undefined ? {} : { sizeBytes }),
      ...(atHand === undefined ? {} : { atHand }),
    };
    const stored = adapter.store(key, source).finally(() => handOver.close());
    stored.catch(() => {});
    return {
      opened,
      window: new StreamWindow(opened.window),
      handOver,
      stored,
      tail: Promise.resolve(),
      meta: undefined,
      wanted,
    };
  }
}

/** Rejects when the promise does, and never resolves. */
function failureOnly(promise: Promise<unknown>): Promise<never> {
  return new Promise((_resolve, reject) => void promise.catch(reject));
}

function aborted(): VitrineError {
  return new VitrineError("client_gone", "store object: the upload was aborted");
}

/**
 * Keeps the order of one line's changes to a key. The folder makes changes in the order in which they are requested,
 * but a large object requests its own only after its file is synced, and what was sent later must not overtake it.
 */
export class KeyOrder {
  /** By key, the last change that later ones wait for. */
  readonly #last = new Map<string, Promise<unknown>>();
  /** By key, a change in its last step, which makes it visible. */
  readonly #visible = new Map<string, Promise<unknown>>();

  /** Runs a change that takes several steps; later changes of the key wait for it. */
  async run<T>(key: ObjectKey, change: () => Promise<T>): Promise<T> {
    const id = keyId(key);
    const before = this.#last.get(id);
    const running = before === undefined ? change() : before.then(change, change);
    this.#last.set(id, running);
    try {
      return await running;
    } finally {
      if (this.#last.get(id) === running) this.#last.delete(id);
    }
  }

  /** Runs a change of one step: at once, synchronously, unless it has to wait. */
  async step<T>(key: ObjectKey, change: () => Promise<T>): Promise<T> {
    return await (this.#last.has(keyId(key)) ? this.run(key, change) : change());
  }

  /** Notes that a change is in its last step, so that reads of the key wait for it from now on. */
  becomesVisible(key: ObjectKey, change: Promise<unknown>): void {
    const id = keyId(key);
    const ended = Promise.allSettled([change]).finally(() => {
      if (this.#visible.get(id) === ended) this.#visible.delete(id);
    });
    this.#visible.set(id, ended);
  }

  /** Reads a key, or all keys if none is given. */
  async read<T>(key: ObjectKey | undefined, read: () => Promise<T>): Promise<T> {
    if (this.#visible.size > 0) {
      await (key === undefined ? Promise.all(this.#visible.values()) : this.#visible.get(keyId(key)));
    }
    return await read();
  }

  /** Resolves when all running changes have ended. */
  async all(): Promise<void> {
    while (this.#last.size > 0) await Promise.allSettled(this.#last.values());
  }
}
