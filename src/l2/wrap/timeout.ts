import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { Publish } from "../../core/events.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { L2Adapter, L2Load, L2Reader, ListPage, ListQuery, StoreSource, TierUsage } from "../adapter.ts";
import { type Watch, Watchdog, type WatchdogOptions } from "../../core/watchdog.ts";

/** Settings of a TimeoutAdapter. */
export interface TimeoutOptions extends WatchdogOptions {
  readonly publish: Publish<EventMap>;
}

/** The call that is waited for, as it is told when it is given up. */
interface Call {
  readonly exceptionType: EventMap["timeout.raised"]["exceptionType"];
  readonly requestId?: string | undefined;
}

/**
 * Gives up what a tier does not answer in time: a lookup, a load's opening and each of its chunks, a listing, the
 * usage. Such a call fails with tier_failed; a late load is freed.
 */
export class TimeoutReader implements L2Reader {
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

  async list(query: ListQuery): Promise<ListPage> {
    return await this.#calls.answer({ exceptionType: "l2_list" }, this.#inner.list(query));
  }

  async usage(): Promise<TierUsage> {
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
        // Either it has ended by itself, or nobody is to wait for it.
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
 * The same for all of an adapter: also for a store between one chunk taken and the next, and for a deletion. What the
 * adapter does later is without effect: a late store never becomes visible, because it asks its source
 * (`assertWanted`). Clearing takes as long as it takes, and `close` waits for what hangs.
 */
export class TimeoutAdapter extends TimeoutReader implements L2Adapter {
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

  async delete(key: ObjectKey): Promise<boolean> {
    return await this.#calls.answer({ exceptionType: "l2_delete", ...idOf(key) }, this.#inner.delete(key));
  }

  clear(tenant?: string, onInvisible?: () => void): Promise<number> {
    return this.#inner.clear(tenant, onInvisible);
  }
}

/** The calls of one tier that are waited for. */
class Calls {
  readonly #tier: string;
  readonly #options: TimeoutOptions;
  readonly #watchdog: Watchdog;

  constructor(tier: string, options: TimeoutOptions) {
    this.#tier = tier;
    this.#options = options;
    this.#watchdog = new Watchdog(options);
  }

  /** What `work` gives, if it gives it in time; `onLate` gets it otherwise. */
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

  /** Runs a store, which is given up when it makes no progress. `assertWaiting` throws from then on. */
  store<T>(key: ObjectKey, run: (watch: Watch, assertWaiting: () => void) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let givenUp: VitrineError | undefined;
      const watch = this.#watchdog.watch(() => {
        givenUp = this.raise({ exceptionType: "l2_store", ...idOf(key) });
        reject(givenUp);
      });
      watch.wait();
      const assertWaiting = (): void => {
        if (givenUp !== undefined) throw givenUp;
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

/** The same source; the tier's time does not run while the source itself is waited for. */
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
  const assertWanted = (): void => {
    assertWaiting();
    source.assertWanted?.();
  };
  return { ...source, chunks: chunks(), meta, assertWanted };
}
