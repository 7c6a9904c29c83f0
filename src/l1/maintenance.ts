import { FIELD, FLAG, STATE } from "./arena/entry.ts";
import { COUNTER } from "./arena/layout.ts";
import type { Locked } from "./lock.ts";
import type { Parts } from "./lifecycle.ts";

/** Entries checked for expiry in one critical section, and in one tick. */
const SECTION_ENTRIES = 512;
const TICK_ENTRIES = 8192;
/** Objects evicted in one critical section, and in one tick. */
const EVICT_BATCH = 128;
const TICK_EVICTIONS = 4096;

/** Maintenance of L1, in critical sections short enough not to delay readers. */
export class Maintenance {
  readonly #parts: Parts;
  readonly #locked: Locked;

  constructor(parts: Parts, locked: Locked) {
    this.#parts = parts;
    this.#locked = locked;
  }

  /**
   * One maintenance tick: ends overdue leases, removes some expired objects, evicts from the high to the low watermark.
   */
  tick(monotonicMs: number): void {
    this.#locked(() => {
      this.#parts.lifecycle.expireLeases((deadlineMs) => deadlineMs <= monotonicMs);
      this.#parts.lifecycle.expireHits(monotonicMs);
    });
    const looks = Math.min(TICK_ENTRIES, this.#parts.tables.entries.top);
    for (let looked = 0; looked < looks; looked += SECTION_ENTRIES) {
      this.#locked(() => this.#sweep(Math.min(SECTION_ENTRIES, looks - looked)));
    }
    this.#settleQuotas();
    this.#evictToLowWatermark();
  }

  #settleQuotas(): void {
    for (let sections = 0; sections < TICK_ENTRIES / SECTION_ENTRIES; sections++) {
      if (!this.#locked(() => this.#parts.quotas.settle())) return;
    }
  }

  #sweep(looks: number): void {
    const { tables: { entries, counters }, lifecycle } = this.#parts;
    let hand = counters.get(COUNTER.sweepHand);
    for (let i = 0; i < looks; i++) {
      hand = hand + 1 >= entries.top ? 0 : hand + 1;
      const isResident = entries.get(hand, FIELD.state) === STATE.resident && !entries.hasFlag(hand, FLAG.dirty);
      if (isResident && lifecycle.isDue(hand)) lifecycle.remove(hand, "expired");
    }
    counters.set(COUNTER.sweepHand, hand);
  }

  #evictToLowWatermark(): void {
    const { options, tables: { arena, counters } } = this.#parts;
    const lowGranules = arena.layout.granules * options.lowWatermark;
    const highGranules = arena.layout.granules * options.highWatermark;
    const [isTriggered, isForced] = this.#locked(() => [
      this.#usedGranules() >= highGranules || counters.get(COUNTER.evicting) === 1,
      // Tenants within their quotas give way only where it is they who fill L1.
      this.#parts.quotas.protectedGranules >= highGranules,
    ]);
    const claimant = { account: 0, granules: 0, isForced };
    let keys = 0;
    let bytes = 0;
    const evictOne = (): boolean => {
      const sizeBytes = this.#usedGranules() > lowGranules ? this.#parts.lifecycle.evict("watermark", claimant) : -1;
      if (sizeBytes === -1) return false;
      keys++;
      bytes += sizeBytes;
      return true;
    };
    const evictSome = (): boolean => {
      for (let i = 0; i < EVICT_BATCH; i++) {
        if (evictOne()) continue;
        counters.set(COUNTER.evicting, 0);
        return false;
      }
      // The next tick continues here.
      counters.set(COUNTER.evicting, 1);
      return keys < TICK_EVICTIONS;
    };
    for (let hasMore = isTriggered; hasMore;) hasMore = this.#locked(evictSome);
    this.#parts.publish("l1.eviction.tick", { triggered: isTriggered ? "true" : "false", keys, bytes });
  }

  #usedGranules(): number {
    return this.#parts.tables.arena.layout.granules - this.#parts.tables.allocator.freeGranules;
  }
}
