import type { Clock } from "../../core/clock.ts";
import { causeText, VitrineError } from "../../core/errors.ts";
import type { LossReason, MissReason, Publish } from "../../core/events.ts";
import { isExpired, type ObjectKey, type ObjectMeta } from "../../core/object.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { L2Load, L2Reader, ListPage, ListQuery, TierUsage } from "../../l2/adapter.ts";
import type { SharedKeys } from "../shared/shared_keys.ts";
import { StaleKeys } from "../shared/stale_keys.ts";
import type { LookupListener } from "../storage.ts";

/** Options of a TierReader. */
export interface TierReaderOptions {
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  readonly shared: SharedKeys;
  /** Its index in the order of tiers, the same in all threads. */
  readonly index: number;
}

/**
 * One tier, as every thread reads it. Calls are measured and published, outdated copies are never read, and every
 * failure is a VitrineError.
 */
export class TierReader {
  readonly name: string;
  readonly #adapter: L2Reader;
  protected readonly publish: Publish<EventMap>;
  protected readonly clock: Clock;
  readonly #shared: SharedKeys;
  /** Keys whose copy here is known to be outdated. Only the owner of the tiers changes them. */
  readonly stale: StaleKeys;
  /** Its index in the order of tiers. */
  readonly index: number;

  constructor(adapter: L2Reader, options: TierReaderOptions) {
    this.name = adapter.name;
    this.#adapter = adapter;
    this.publish = options.publish;
    this.clock = options.clock;
    this.#shared = options.shared;
    this.index = options.index;
    this.stale = new StaleKeys(options.shared.stale, options.index);
  }

  /** Metadata of a current, unexpired copy. Throws tier_failed. */
  lookup(key: ObjectKey, listener?: LookupListener): Promise<ObjectMeta | undefined> {
    return this.#ask(key, listener, async () => {
      const meta = await this.#adapter.lookup(key);
      return meta === undefined || this.#isOver(key, meta) ? undefined : meta;
    });
  }

  /**
   * For each of at most MANY_KEYS keys of one tenant: true if there is a current, unexpired copy. One call of the tier.
   * Throws tier_failed.
   */
  async has(keys: readonly ObjectKey[]): Promise<readonly boolean[]> {
    const asked = keys.filter((key) => this.#readable(key));
    const [first] = asked;
    if (first === undefined) return keys.map(() => false);
    const startMs = this.clock.monotonicMs();
    const label = { ...this.label(first), keys: asked.length };
    try {
      const held = await this.#adapter.has(asked);
      const hits = held.filter(Boolean).length;
      this.publish("l2.lookup_many.completed", { ...label, outcome: "ok", hits, seconds: this.since(startMs) });
      if (asked.length === keys.length) return held;
      const answers = held.values();
      const isAsked = new Set(asked);
      return keys.map((key) => isAsked.has(key) && answers.next().value === true);
    } catch (error) {
      const failed = { outcome: "error", hits: 0, error: causeText(error) } as const;
      this.publish("l2.lookup_many.completed", { ...label, ...failed, seconds: this.since(startMs) });
      throw this.failure("lookup", error);
    }
  }

  /**
   * Opens a load of the whole object. Counts as a lookup, and as a load only once it is read (loadChunks). Throws
   * tier_failed.
   */
  open(key: ObjectKey, listener?: LookupListener): Promise<L2Load | undefined> {
    return this.#ask(key, listener, async () => {
      const load = await this.#adapter.load(key);
      if (load === undefined || !this.#isOver(key, load.meta)) return load;
      await discardLoad(load);
      return undefined;
    });
  }

  /**
   * Opens a load of the bytes [start, end) of an object that a lookup found. Counts as a load once it is read
   * (loadChunks), or if it fails. Throws tier_failed.
   */
  async openRange(
    key: ObjectKey,
    range: { readonly start: number; readonly end: number },
  ): Promise<L2Load | undefined> {
    const startMs = this.clock.monotonicMs();
    try {
      return this.#readable(key) ? await this.#adapter.load(key, range) : undefined;
    } catch (error) {
      const label = this.label(key);
      const requestedBytes = range.end - range.start;
      this.publish("l2.load.submitted", { ...label, bytes: requestedBytes });
      this.publish("l2.load.completed", {
        ...label,
        outcome: "failed",
        bytes: 0,
        requestedBytes,
        seconds: this.since(startMs),
        error: causeText(error),
      });
      throw this.failure("load", error);
    }
  }

  /** The reason why the tier cannot be used at present; undefined if it can. */
  get trouble(): string | undefined {
    return this.#adapter.trouble;
  }

  /** True if other servers may store in the tier, too. */
  get isShared(): boolean {
    return this.#adapter.isShared ?? false;
  }

  /** True if a lookup that the tier cannot answer is a miss for clients, and not an error. */
  get missesOnError(): boolean {
    return this.#adapter.missesOnError ?? false;
  }

  /** False if nothing is stored here. */
  get takesStores(): boolean {
    return this.#adapter.takesStores ?? true;
  }

  /**
   * Milliseconds for which L1 may use a copy without another look here; undefined: without limit. A tier in which
   * nothing is stored cannot say what is current, because it lacks what this server stores.
   */
  get maxAgeMs(): number | undefined {
    return this.takesStores ? this.#adapter.maxAgeMs : undefined;
  }

  /** A page of the tier's objects, outdated copies included. Throws tier_failed. */
  async list(query: ListQuery): Promise<ListPage> {
    try {
      return await this.#adapter.list(query);
    } catch (error) {
      throw this.failure("list", error);
    }
  }

  /** The reason that the tier itself gave when it last missed this key. */
  missReason(key: ObjectKey): MissReason | undefined {
    return this.#adapter.missReason?.(key);
  }

  /** The ids of other servers that the tier leads to. */
  get serversBehind(): readonly string[] {
    return this.#adapter.serversBehind ?? [];
  }

  usage(): Promise<TierUsage | undefined> {
    return this.#adapter.usage();
  }

  close(): Promise<void> {
    return this.#adapter.close();
  }

  /** False if the copy of this key must not be read. Throws tier_failed if nothing here may be read. */
  #readable(key: ObjectKey): boolean {
    if (this.stale.distrusted) {
      throw new VitrineError(
        "tier_failed",
        `read tier: too many outdated copies could not be deleted in ${this.name}`,
        {
          details: { tier: this.name },
        },
      );
    }
    return !this.stale.has(key);
  }

  async #ask<T>(
    key: ObjectKey,
    listener: LookupListener | undefined,
    call: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    if (!this.#readable(key)) return undefined;
    const startMs = this.clock.monotonicMs();
    const finished = (
      outcome: EventMap["l2.lookup.completed"]["outcome"],
      failure: { readonly error?: string } = {},
    ): void => {
      const seconds = this.since(startMs);
      const label = this.label(key);
      this.publish("l2.lookup.completed", { ...label, ...failure, outcome, seconds });
      listener?.asked(this.name, { startMs, seconds });
    };
    try {
      const answer = await call();
      finished(answer === undefined ? "miss" : "hit");
      return answer;
    } catch (error) {
      finished("error", { error: causeText(error) });
      throw this.failure("lookup", error);
    }
  }

  /** True if the adapter gave an object that has expired. Records its loss. */
  #isOver(key: ObjectKey, meta: ObjectMeta): boolean {
    const isOver = isExpired(meta, this.clock.nowMs());
    if (isOver) this.lost(key, "expired");
    return isOver;
  }

  /** Adds the loss of the copy here to the removal history. */
  protected lost(key: ObjectKey, reason: LossReason): void {
    this.#shared.history.lost(key, { tier: this.index + 1, reason, atMs: this.clock.monotonicMs() });
  }

  protected label({ tenant, requestId }: ObjectKey) {
    return { tier: this.name, tenant, keys: 1, requestId };
  }

  protected since(startMs: number): number {
    return (this.clock.monotonicMs() - startMs) / 1000;
  }

  protected failure(action: string, error: unknown): VitrineError {
    if (error instanceof VitrineError && (error.code === "tier_failed" || error.code === "no_room")) return error;
    return new VitrineError("tier_failed", `${action} in tier: ${this.name}`, {
      cause: error,
      details: { tier: this.name },
    });
  }
}

/** The answer of the first tier that has the object. */
export interface TierAnswer<T> {
  readonly answer: T;
  readonly tier: TierReader;
}

/** The error of a lookup that only tiers with on_error=miss could not answer. Reads by clients take it for a miss. */
export class MissedTier extends VitrineError {
  constructor(message: string, cause: unknown) {
    super("tier_failed", message, { cause });
  }
}

/**
 * Asks the tiers in order until one has it. undefined: all answered and none has it. Throws tier_failed if none has it
 * and one could not answer; a MissedTier if all that could not have on_error=miss.
 */
export async function askTiers<T>(
  tiers: readonly TierReader[],
  ask: (tier: TierReader) => Promise<T | undefined>,
): Promise<TierAnswer<T> | undefined> {
  let failure: { readonly cause: unknown } | undefined;
  let isMiss = true;
  for (const tier of tiers) {
    try {
      const answer = await ask(tier);
      if (answer !== undefined) return { answer, tier };
    } catch (cause) {
      failure = { cause };
      isMiss &&= tier.missesOnError;
    }
  }
  if (failure === undefined) return undefined;
  const message = "look up object: a tier failed and no other has it";
  throw isMiss ? new MissedTier(message, failure.cause) : new VitrineError("tier_failed", message, failure);
}

/** Frees the resources of a load whose bytes are not read. Never throws. */
export async function discardLoad(load: L2Load): Promise<void> {
  try {
    await load.chunks[Symbol.asyncIterator]().return?.();
  } catch {
    // The load is of no use any more, so a failure to close it does not matter.
  }
}

/** Publishes the rate at which an object went to a tier or came from it, if it had bytes and took some time. */
export function publishRate(
  publish: Publish<EventMap>,
  { tier, direction, bytes, seconds }: {
    readonly tier: string;
    readonly direction: EventMap["l2.transferred"]["direction"];
    readonly bytes: number;
    readonly seconds: number;
  },
): void {
  if (bytes > 0 && seconds > 0) publish("l2.transferred", { tier, direction, rate: bytes / seconds / 1e9 });
}
