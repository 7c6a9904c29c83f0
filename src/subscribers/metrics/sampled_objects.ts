import type { Delivered } from "../../events/subscriber.ts";
import { BoundedMap } from "../bounded_map.ts";

/** Maximum number of remembered keys and tenants. At one key in 128, this is enough for eight million objects. */
const MAX_KEYS = 65_536;
const MAX_TENANTS = 4096;
/** An object that does not return within this time after its eviction counts as returning then. */
const MAX_EVICT_GAP_SECONDS = 300;
/** The removals that make room. */
const EVICTIONS: ReadonlySet<string> = new Set(["watermark", "pressure", "quota"]);

type Sampled = Delivered<"l1.key.sampled">;

/** An object in L1, in monotonic milliseconds. */
interface Life {
  readonly admittedMs: number;
  usedMs: number;
}

/** Spans of an object's life, in seconds, that end with an event. */
interface Spans {
  readonly lifetime?: number;
  /** From the last use to the eviction. */
  readonly idle?: number;
  /** From one use to the next. */
  readonly gap?: number;
  /** From evictions to the next admission, also of objects that did not come back in time. */
  readonly evictGaps: readonly number[];
}

/** Measures how long sampled objects stay in L1 and how soon they return. */
export class L1Lives {
  readonly #lives = new BoundedMap<Life>(MAX_KEYS);
  /** Times of evictions, the oldest first. */
  readonly #evictions = new BoundedMap<number>(MAX_KEYS);
  readonly #monotonicMs: () => number;
  #last: { readonly event: Sampled; readonly spans: Spans } | undefined;

  /** `monotonicMs`: of the clock that the events were timed by. */
  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  /** Returns the spans that end with an event. Repeated calls for one event return the same result. */
  at(event: Sampled): Spans {
    if (this.#last?.event !== event) this.#last = { event, spans: this.#spansAt(event) };
    return this.#last.spans;
  }

  /** Returns the longest gap for each object that did not come back in time, and forgets the object. */
  givenUp(nowMs: number = this.#monotonicMs()): readonly number[] {
    const gaps: number[] = [];
    const isOver = (evictedMs: number) => nowMs - evictedMs >= MAX_EVICT_GAP_SECONDS * 1000;
    while (this.#evictions.takeOldestIf(isOver) !== undefined) gaps.push(MAX_EVICT_GAP_SECONDS);
    return gaps;
  }

  #spansAt({ action, reason, keyHash, atMs }: Sampled): Spans {
    // The details were dropped: neither the key nor the time is known.
    if (keyHash === undefined || atMs === undefined) return { evictGaps: [] };
    const timeMs = Number(atMs);
    const evictGaps = this.givenUp(timeMs);
    if (action === "removed") return { evictGaps, ...this.#removed(keyHash, { reason, timeMs }) };
    const life = this.#lives.get(keyHash);
    if (action === "read") {
      if (life === undefined) return { evictGaps };
      const gap = seconds(life.usedMs, timeMs);
      life.usedMs = timeMs;
      return { evictGaps, gap };
    }
    const evictedMs = this.#evictions.take(keyHash);
    this.#lives.set(keyHash, { admittedMs: timeMs, usedMs: timeMs });
    return { evictGaps: evictedMs === undefined ? evictGaps : [...evictGaps, seconds(evictedMs, timeMs)] };
  }

  #removed(
    keyHash: string,
    { reason, timeMs }: { readonly reason: string; readonly timeMs: number },
  ): Omit<Spans, "evictGaps"> {
    const life = this.#lives.take(keyHash);
    if (!EVICTIONS.has(reason)) return {};
    this.#evictions.set(keyHash, timeMs);
    if (life === undefined) return {};
    return { lifetime: seconds(life.admittedMs, timeMs), idle: seconds(life.usedMs, timeMs) };
  }
}

/**
 * The last use of an object: its time in monotonic milliseconds, and the number of objects that its tenant had used.
 */
interface Use {
  readonly timeMs: number;
  readonly objects: number;
}

/** Measures the distance between a tenant's uses of a sampled object, in time and in objects. */
export class Uses {
  readonly #uses = new BoundedMap<Use>(MAX_KEYS);
  /** Objects used by each tenant. */
  readonly #objects = new BoundedMap<number>(MAX_TENANTS);
  #last: { readonly event: Sampled; readonly gap: ReturnType<Uses["at"]> } | undefined;

  /** Returns the distance of a read from the use before it; undefined for other events, and if no use is known. */
  at(event: Sampled): { readonly seconds: number; readonly objects: number } | undefined {
    if (this.#last?.event !== event) this.#last = { event, gap: this.#gapAt(event) };
    return this.#last.gap;
  }

  /** Counts objects that a tenant used. */
  count(tenant: string, keys: number): undefined {
    this.#objects.set(tenant, (this.#objects.get(tenant) ?? 0) + keys);
  }

  #gapAt({ tenant, action, keyHash, atMs }: Sampled): ReturnType<Uses["at"]> {
    if (keyHash === undefined || atMs === undefined || action === "removed") return undefined;
    const timeMs = Number(atMs);
    const objects = this.#objects.get(tenant) ?? 0;
    const last = this.#uses.get(keyHash);
    this.#uses.set(keyHash, { timeMs, objects });
    if (action === "written" || last === undefined) return undefined;
    return { seconds: seconds(last.timeMs, timeMs), objects: Math.max(0, objects - last.objects) };
  }
}

function seconds(fromMs: number, toMs: number): number {
  return Math.max(0, (toMs - fromMs) / 1000);
}
