import type { Delivered } from "../../events/delivered.ts";
import type { Subscriber, Subscriptions } from "../../events/subscriber.ts";
import type { GroupHistogram, Instruments } from "./support/instruments.ts";
import { RecentKeys } from "./support/recent_keys.ts";

/** Sampled keys that are followed at a time: at one key in 128, those of eight million objects. */
const MAX_KEYS = 65_536;
/** An object that does not come back for so long after its eviction counts as coming back then. */
const MAX_EVICT_GAP_SECONDS = 300;
/** Removals that make room; the others are not the cache's choice. */
const EVICTIONS: ReadonlySet<string> = new Set(["watermark", "pressure", "quota"]);

/** An object in L1, in monotonic milliseconds. */
interface Life {
  readonly admittedMs: number;
  usedMs: number;
}

/** Measures how long sampled objects stay in L1 and how soon they come back. */
export class L1LifecycleMetrics implements Subscriber {
  readonly name = "metrics.l1_lifecycle";
  readonly subscriptions: Subscriptions;
  readonly detail = ["l1.key.sampled"] as const;
  readonly #lives = new RecentKeys<Life>(MAX_KEYS);
  /** When keys were evicted, the oldest first. */
  readonly #evictions = new RecentKeys<number>(MAX_KEYS);
  readonly #lifetime: GroupHistogram;
  readonly #idle: GroupHistogram;
  readonly #gap: GroupHistogram;
  readonly #evictGap: GroupHistogram;

  /** `monotonicMs`: of the clock that the events were timed by. */
  constructor(instruments: Instruments, monotonicMs: () => number) {
    this.#lifetime = instruments.histogram("lmcache_mp_l1_chunk_lifetime_seconds");
    this.#idle = instruments.histogram("lmcache_mp_l1_chunk_idle_before_evict_seconds");
    this.#gap = instruments.histogram("lmcache_mp_l1_chunk_reuse_gap_seconds");
    this.#evictGap = instruments.histogram("lmcache_mp_l1_chunk_evict_reuse_gap_seconds");
    this.subscriptions = {
      "l1.key.sampled": (event) => this.#onSampled(event),
      "l1.eviction.tick": () => this.#giveUp(monotonicMs()),
    };
  }

  #onSampled({ action, reason, keyHash, atMs }: Delivered<"l1.key.sampled">): void {
    // Shed: it says no longer whose it was, nor when.
    if (keyHash === undefined || atMs === undefined) return;
    const timeMs = Number(atMs);
    this.#giveUp(timeMs);
    if (action === "removed") return this.#onRemoved(keyHash, { reason, timeMs });
    const life = this.#lives.get(keyHash);
    if (action === "read") {
      if (life === undefined) return;
      record(this.#gap, timeMs - life.usedMs);
      life.usedMs = timeMs;
      return;
    }
    const evictedMs = this.#evictions.take(keyHash);
    if (evictedMs !== undefined) record(this.#evictGap, timeMs - evictedMs);
    this.#lives.set(keyHash, { admittedMs: timeMs, usedMs: timeMs });
  }

  #onRemoved(keyHash: string, { reason, timeMs }: { readonly reason: string; readonly timeMs: number }): void {
    const life = this.#lives.take(keyHash);
    if (!EVICTIONS.has(reason)) return;
    this.#evictions.set(keyHash, timeMs);
    if (life === undefined) return;
    record(this.#lifetime, timeMs - life.admittedMs);
    record(this.#idle, timeMs - life.usedMs);
  }

  /** Counts those that did not come back in time. */
  #giveUp(nowMs: number): void {
    const isOver = (evictedMs: number) => nowMs - evictedMs >= MAX_EVICT_GAP_SECONDS * 1000;
    while (this.#evictions.takeOldestIf(isOver) !== undefined) record(this.#evictGap, MAX_EVICT_GAP_SECONDS * 1000);
  }
}

function record(histogram: GroupHistogram, gapMs: number): void {
  histogram.record(Math.max(0, gapMs / 1000), { count: 1, attributes: {} });
}
