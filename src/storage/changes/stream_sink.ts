import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { StoreResult, Tier } from "../tiers/tier.ts";

interface Lane {
  readonly handOver: HandOver;
  readonly result: Promise<StoreResult>;
}

/** Options of a StreamSink. */
export interface StreamSinkOptions {
  readonly key: ObjectKey;
  readonly tiers: readonly Tier[];
  readonly sizeBytes: number | undefined;
  /** True: the upload fails with the first tier that fails; false: only with the last one. */
  readonly needsAll: boolean;
}

/**
 * Streams an upload to all tiers in parallel, at the pace of the slowest, holding one chunk. Nothing is visible before
 * `finish`.
 */
export class StreamSink {
  readonly #lanes: readonly Lane[];
  readonly #needsAll: boolean;
  #failures: readonly Error[] = [];
  #ending: { readonly meta: ObjectMeta; readonly assertWanted: () => void } | undefined;

  constructor(options: StreamSinkOptions) {
    this.#needsAll = options.needsAll;
    this.#lanes = options.tiers.map((tier) => this.#lane(tier, options));
  }

  /** Resolves when all tiers are done with the chunk's memory. Throws what the tiers threw: tier_failed or no_room. */
  async write(chunk: Uint8Array): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.handOver.put(chunk)));
    const [failure] = this.#failures;
    if (failure === undefined) return;
    if (this.#needsAll || this.#failures.length === this.#lanes.length) throw failure;
  }

  /**
   * Makes the object visible. `assertWanted` is called in that very step, and throws if no client waits for it any
   * more.
   */
  finish(meta: ObjectMeta, assertWanted: () => void): Promise<readonly StoreResult[]> {
    this.#ending = { meta, assertWanted };
    for (const lane of this.#lanes) lane.handOver.end();
    return Promise.all(this.#lanes.map((lane) => lane.result));
  }

  /** Aborts: nothing becomes visible. No effect after `finish`. */
  abort(): void {
    const error = new VitrineError("client_gone", "store upload: it was broken off");
    for (const lane of this.#lanes) lane.handOver.fail(error);
  }

  #lane(tier: Tier, options: StreamSinkOptions): Lane {
    const handOver = new HandOver();
    const source = {
      chunks: handOver,
      meta: (): ObjectMeta => {
        if (this.#ending === undefined) throw new VitrineError("client_gone", "store upload: it has not ended");
        return this.#ending.meta;
      },
      assertWanted: () => this.#ending?.assertWanted(),
    };
    const { sizeBytes } = options;
    const storing = tier.store(options.key, sizeBytes === undefined ? source : { ...source, sizeBytes });
    const result = storing.then((ended) => {
      if (ended.error !== undefined) this.#failures = [...this.#failures, ended.error];
      handOver.close();
      return ended;
    });
    return { handOver, result };
  }
}

/**
 * Passes one chunk at a time from a writer that pushes to a reader that pulls. Neither is ever more than one chunk
 * ahead.
 */
export class HandOver implements AsyncIterableIterator<Uint8Array, void, void> {
  #offered: { readonly chunk: Uint8Array; readonly done: () => void; taken: boolean } | undefined;
  #reader:
    | { resolve: (result: IteratorResult<Uint8Array, void>) => void; reject: (reason: unknown) => void }
    | undefined;
  #end: { readonly error: unknown } | "ended" | undefined;
  #readerGone = false;

  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * Resolves when the reader is done with the chunk: it has requested the next one, or has gone. One call at a time.
   */
  put(chunk: Uint8Array): Promise<void> {
    if (this.#readerGone || this.#end !== undefined || chunk.length === 0) return Promise.resolve();
    return new Promise((done) => {
      this.#offered = { chunk, done, taken: false };
      this.#serve();
    });
  }

  /** Ends the reader's iteration, once it has taken the last chunk. */
  end(): void {
    this.#end ??= "ended";
    this.#serve();
  }

  /** Makes the reader's next call fail. */
  fail(error: unknown): void {
    this.#end ??= { error };
    this.#release();
    this.#serve();
  }

  /** Called when the reader takes no more chunks. */
  close(): void {
    this.#readerGone = true;
    this.#release();
  }

  next(): Promise<IteratorResult<Uint8Array, void>> {
    if (this.#offered?.taken === true) this.#release();
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
      this.#serve();
    });
  }

  return(): Promise<IteratorResult<Uint8Array, void>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  #serve(): void {
    const reader = this.#reader;
    if (reader === undefined) return;
    const offered = this.#offered;
    if (offered !== undefined && !offered.taken) {
      offered.taken = true;
      this.#reader = undefined;
      reader.resolve({ done: false, value: offered.chunk });
    } else if (this.#end !== undefined) {
      this.#reader = undefined;
      if (this.#end === "ended") reader.resolve({ done: true, value: undefined });
      else reader.reject(this.#end.error);
    }
  }

  #release(): void {
    const offered = this.#offered;
    this.#offered = undefined;
    offered?.done();
  }
}
