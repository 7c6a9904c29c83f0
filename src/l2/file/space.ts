import type { Clock } from "../../core/clock.ts";
import { VitrineError } from "../../core/errors.ts";
import { isExpired } from "../../core/object.ts";
import type { ObjectIndex } from "./index.ts";
import type { IndexRow } from "./place.ts";
import type { Reclaim } from "./reclaim.ts";
import type { Removals } from "./removals.ts";
import type { Segments } from "./segments.ts";

/** The most entries that are evicted in one step. */
const EVICTION_BATCH = 1024;

/** What Space is made of. */
export interface SpaceOptions {
  /** 0 = no limit. */
  readonly limitBytes: number;
  readonly index: ObjectIndex;
  readonly segments: Segments;
  readonly reclaim: Reclaim;
  readonly removals: Removals;
  readonly clock: Clock;
}

/**
 * The size limit over segments and files, half-written files included. What was not loaded for longest goes first: L1 in front absorbs the frequent
 * reads, so what still reaches this tier is worth keeping by its last use. An evicted record frees its room when its segment is reclaimed.
 */
export class Space {
  readonly limitBytes: number;
  readonly #options: SpaceOptions;
  #heldBytes = 0;

  constructor(options: SpaceOptions) {
    this.#options = options;
    this.limitBytes = options.limitBytes;
  }

  /** Bytes of all files and segments. */
  get usedBytes(): number {
    return this.#options.segments.bytes + this.#options.index.totals.fileBytes;
  }

  /** Makes room for `bytes` more. Throws no_room. */
  ensure(bytes: number): void {
    if (this.limitBytes === 0) return;
    if (bytes > this.limitBytes) throw this.#noRoom(bytes);
    for (;;) {
      const excess = this.usedBytes + this.#heldBytes + bytes - this.limitBytes;
      if (excess <= 0) return;
      if (!this.free(excess)) throw this.#noRoom(bytes);
    }
  }

  /** Keeps room for a file that is being written; returns what is held for it now. Throws no_room. */
  hold(bytes: number, heldBytes: number): number {
    if (this.limitBytes === 0) return 0;
    if (heldBytes + bytes > this.limitBytes) throw this.#noRoom(heldBytes + bytes);
    this.ensure(bytes);
    this.#heldBytes += bytes;
    return heldBytes + bytes;
  }

  /** Gives held room back. */
  release(bytes: number): void {
    this.#heldBytes = Math.max(0, this.#heldBytes - bytes);
  }

  /** Frees about so many bytes, by moving records together where that frees enough, else by eviction; false if there is nothing left to free. */
  free(bytes: number): boolean {
    const before = this.usedBytes;
    if (this.#options.reclaim.compactSparsest() && this.usedBytes < before) return true;
    return this.#evict(bytes) || this.#sealAndReclaim();
  }

  /** Evicts until usage is within the limit again; for a limit that was lowered between two runs. */
  trim(): void {
    this.ensure(0);
  }

  /** Removes up to `limit` objects whose time is up; returns how many those were. */
  removeExpired(limit: number): number {
    const { index, clock } = this.#options;
    const expired = index.expired(clock.nowMs(), limit);
    this.#remove(expired);
    return expired.length;
  }

  #evict(bytes: number): boolean {
    const victims = this.#options.index.victims(bytes, { nowMs: this.#options.clock.nowMs(), limit: EVICTION_BATCH });
    this.#remove(victims);
    return victims.length > 0;
  }

  #remove(victims: readonly IndexRow[]): void {
    const { index, removals, reclaim, clock } = this.#options;
    index.transaction(() => {
      for (const victim of victims) index.remove(victim);
    });
    const nowMs = clock.nowMs();
    removals.removeFiles(victims);
    for (const victim of victims) reclaim.removed(victim.place, victim.bytes);
    reclaim.dropEmpty();
    removals.publish(victims.filter(({ meta }) => isExpired(meta, nowMs)), "expired");
    removals.publish(victims.filter(({ meta }) => !isExpired(meta, nowMs)), "capacity");
  }

  /** The segment that is being written may be all that is left, with nothing in it that lives. */
  #sealAndReclaim(): boolean {
    const before = this.usedBytes;
    this.#options.segments.seal();
    this.#options.reclaim.dropEmpty();
    return this.usedBytes < before;
  }

  #noRoom(bytes: number): VitrineError {
    return new VitrineError("no_room", `make room in tier: ${bytes} bytes`, {
      details: { limitBytes: this.limitBytes, neededBytes: bytes },
    });
  }
}
