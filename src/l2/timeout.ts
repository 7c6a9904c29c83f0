import { VitrineError } from "../core/errors.ts";
import type { ObjectKey, ObjectMeta } from "../core/object.ts";
import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L2Adapter, L2Load, L2Reader, ListPage, ListQuery, Replaced, StoreSource, TierUsage } from "./adapter.ts";
import { type Watch, Watchdog, type WatchdogOptions } from "../core/watchdog.ts";

/** Options of a TimeoutAdapter or TimeoutReader. */
export interface TimeoutOptions extends WatchdogOptions {
  readonly publish: Publish<EventMap>;
}

/** A call, as the event of its timeout describes it. */
interface Call {
  readonly exceptionType: EventMap["timeout.raised"]["exceptionType"];
  readonly requestId?: string | undefined;
}

/**
 * Times out calls that a tier does not answer in time: a lookup, the opening of a load and each of its chunks, a
 * listing, and the usage. Such a call fails with tier_failed. A load that opens late is freed.
 */
export class TimeoutReader implements Required<L2Reader> {
  readonly name: string;
  readonly #inner: L2Reader;
  readonly #calls: Calls;

  constructor(inner: L2Reader, options: TimeoutOptions) {
    this.name = inner.name;
    this.#inner = inner;
    this.#calls = new Calls(inner.name, options);
  }

  async lookup(key: ObjectKey): Promise<ObjectMeta | undefined> {
    return await this.#calls.answer({ exceptionType: "l2_lookup", ...idOf(key) }, this.#inner.lookup(key));
  }

  async has(keys: readonly ObjectKey[]): Promise<readonly boolean[]> {
    const [first] = keys;
    const call: Call = { exceptionType: "l2_lookup", ...(first === undefined ? {} : idOf(first)) };
    return await this.#calls.progress(call, (onProgress) => this.#inner.has(keys, onProgress));
  }

  async load(key: ObjectKey, range?: { readonly start: number; readonly end: number }): Promise<L2Load | undefined> {
    const call: Call = { exceptionType: "l2_load", ...idOf(key) };
    const load = await this.#calls.answer(call, this.#inner.load(key, range), (late) => {
      void late?.chunks[Symbol.asyncIterator]().return?.().catch(() => undefined);
    });
    if (load === undefined) return undefined;
    return { meta: load.meta, chunks: this.#chunks(call, load.chunks[Symbol.asyncIterator]()) };
  }

  get trouble(): string | undefined {
    return this.#inner.trouble;
  }

  get isShared(): boolean | undefined {
    return this.#inner.isShared;
  }

  get missesOnError(): boolean | undefined {
    return this.#inner.missesOnError;
  }

  get takesStores(): boolean | undefined {
    return this.#inner.takesStores;
  }

  get maxAgeMs(): number | undefined {
    return this.#inner.maxAgeMs;
  }

  async list(query: ListQuery): Promise<ListPage> {
    return await this.#calls.answer({ exceptionType: "l2_list" }, this.#inner.list(query));
  }

  get missReason(): L2Reader["missReason"] {
    return this.#inner.missReason?.bind(this.#inner);
  }

  get serversBehind(): readonly string[] | undefined {
    return this.#inner.serversBehind;
  }

  async usage(): Promise<TierUsage | undefined> {
    return await this.#calls.answer({ exceptionType: "l2_usage" }, this.#inner.usage());
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #chunks(call: Call, chunks: AsyncIterator<Uint8Array>): AsyncIterableIterator<Uint8Array> {
    let isOpen = true;
    const free = async (): Promise<IteratorResult<Uint8Array>> => {
      if (isOpen) await chunks.return?.();
      isOpen = false;
      return { done: true, value: undefined };
    };
    const next = async (): Promise<IteratorResult<Uint8Array>> => {
      if (!isOpen) return { done: true, value: undefined };
      try {
        return await this.#calls.answer(call, chunks.next(), () => void chunks.return?.().catch(() => undefined));
      } catch (error) {
        // The load has ended with a failure, or it has timed out and must not be awaited again.
        isOpen = false;
        throw error;
      }
    };
    return {
      [Symbol.asyncIterator]() {
        return this;
      },
      next,
      return: free,
    };
  }
}

/**
 * Times out all calls of an adapter, including a deletion, and a store that makes no progress between two chunks. A
 * late result has no effect: a late store never becomes visible, because the adapter calls `assertWanted`. `clear` has
 * no timeout, and `close` waits for calls that hang.
 */
export class TimeoutAdapter extends TimeoutReader implements Required<L2Adapter> {
  readonly groupLimitBytes: number;
  readonly #inner: L2Adapter;
  readonly #calls: Calls;

  constructor(inner: L2Adapter, options: TimeoutOptions) {
    super(inner, options);
    this.groupLimitBytes = inner.groupLimitBytes ?? 0;
    this.#inner = inner;
    this.#calls = new Calls(inner.name, options);
  }

  store(key: ObjectKey, source: StoreSource): Promise<ObjectMeta> {
    return this.#calls.store(
      key,
      (watch, assertWaiting) => this.#inner.store(key, patientSource(source, { watch, assertWaiting })),
    );
  }

  get storeWhole(): L2Adapter["storeWhole"] {
    const store = this.#inner.storeWhole?.bind(this.#inner);
    if (store === undefined) return undefined;
    return (key, object) =>
      this.#calls.store(key, (_watch, assertWaiting) => {
        const { meta, extents, durable } = object;
        const assertWanted = (): void => {
          assertWaiting();
          object.assertWanted();
        };
        return store(key, { meta, extents, durable, assertWanted });
      });
  }

  get keys(): L2Adapter["keys"] {
    return this.#inner.keys?.bind(this.#inner);
  }

  get followChanges(): L2Adapter["followChanges"] {
    return this.#inner.followChanges?.bind(this.#inner);
  }

  get peek(): L2Adapter["peek"] {
    return this.#inner.peek?.bind(this.#inner);
  }

  async delete(key: ObjectKey): Promise<boolean> {
    return await this.#calls.answer({ exceptionType: "l2_delete", ...idOf(key) }, this.#inner.delete(key));
  }

  clear(tenant?: string, onInvisible?: () => void): Promise<number> {
    return this.#inner.clear(tenant, onInvisible);
  }
}

/** The running calls of one tier, each with a timeout. */
class Calls {
  readonly #tier: string;
  readonly #options: TimeoutOptions;
  readonly #watchdog: Watchdog;

  constructor(tier: string, options: TimeoutOptions) {
    this.#tier = tier;
    this.#options = options;
    this.#watchdog = new Watchdog(options);
  }

  /** Returns the result of `work` if it settles in time; otherwise fails, and a late value goes to `onLate`. */
  answer<T>(call: Call, work: Promise<T>, onLate: (value: T) => void = () => {}): Promise<T> {
    return new Promise((resolve, reject) => {
      const watch = this.#watchdog.watch(() => reject(this.raise(call)));
      watch.wait();
      work.then(
        (value) => watch.end() ? resolve(value) : onLate(value),
        (error: unknown) => watch.end() && reject(error),
      );
    });
  }

  /** Like `answer`, for work that times out if it makes no progress, which it tells. */
  progress<T>(call: Call, run: (onProgress: () => void) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const watch = this.#watchdog.watch(() => reject(this.raise(call)));
      watch.wait();
      run(() => watch.wait()).then(
        (value) => watch.end() && resolve(value),
        (error: unknown) => watch.end() && reject(error),
      );
    });
  }

  /** Runs a store, which times out if it makes no progress; from then on `assertWaiting` throws. */
  store<T>(key: ObjectKey, run: (watch: Watch, assertWaiting: () => void) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let timedOut: VitrineError | undefined;
      const watch = this.#watchdog.watch(() => {
        timedOut = this.raise({ exceptionType: "l2_store", ...idOf(key) });
        reject(timedOut);
      });
      watch.wait();
      const assertWaiting = (): void => {
        if (timedOut !== undefined) throw timedOut;
      };
      run(watch, assertWaiting).then(
        (value) => watch.end() && resolve(value),
        (error: unknown) => watch.end() && reject(error),
      );
    });
  }

  raise(call: Call): VitrineError {
    const { exceptionType } = call;
    this.#options.publish("timeout.raised", call);
    const details = { tier: this.#tier, timeoutMs: this.#options.timeoutMs };
    return new VitrineError("tier_failed", `wait for tier: ${exceptionType} in ${this.#tier}`, { details });
  }
}

function idOf({ requestId }: ObjectKey): Pick<Call, "requestId"> {
  return requestId === undefined ? {} : { requestId };
}

/** Wraps a source so that the tier's timeout is suspended while the source itself is awaited. */
function patientSource(
  source: StoreSource,
  { watch, assertWaiting }: { readonly watch: Watch; readonly assertWaiting: () => void },
): StoreSource {
  async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
    watch.rest();
    try {
      for await (const chunk of source.chunks) {
        assertWaiting();
        watch.wait();
        yield chunk;
        assertWaiting();
        watch.rest();
      }
    } finally {
      watch.wait();
    }
  }
  const meta = (): ObjectMeta => {
    assertWaiting();
    watch.wait();
    return source.meta();
  };
  const assertWanted = (replaced?: Replaced): void => {
    assertWaiting();
    source.assertWanted?.(replaced);
  };
  return { ...source, chunks: chunks(), meta, assertWanted };
}
