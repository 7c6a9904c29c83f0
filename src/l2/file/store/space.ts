import type { Clock } from "../../../core/clock.ts";
import { VitrineError } from "../../../core/errors.ts";
import { isExpired } from "../../../core/object.ts";
import { faultOf } from "../disk.ts";
import type { IndexRow } from "../folder_calls.ts";
import type { Clears } from "./clears.ts";
import type { FreeSpace, Reserve } from "./free_space.ts";
import type { ObjectIndex } from "./index.ts";
import type { Reclaim, Removals } from "./reclaim.ts";
import type { Segments } from "./segments.ts";

/** Minimum number of bytes to free when the disk itself is full. */
const RELIEF_BYTES = 8 * 1024 * 1024;
/** Maximum number of entries that are examined in one step of an eviction. */
const EVICTION_BATCH = 256;

/** Options of Space. */
export interface SpaceOptions {
  /** 0: only the disk limits it. */
  readonly limitBytes: number;
  readonly free: FreeSpace;
  readonly reserve: Reserve;
  readonly index: ObjectIndex;
  readonly segments: Segments;
  readonly reclaim: Reclaim;
  readonly removals: Removals;
  readonly clears: Clears;
  readonly clock: Clock;
}

/**
 * Enforces the size limit over segments and files, including unfinished ones. Expired objects are removed first. Then
 * eviction takes the log from its oldest end: an object that was not used since its record was written is removed; one
 * that was used is rewritten at the end (FIFO with a second chance). A record's room is freed with its segment.
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
    const { limitBytes } = this;
    if (limitBytes > 0 && bytes > limitBytes) throw this.#noRoom(bytes);
    for (;;) {
      const excess = limitBytes === 0 ? 0 : this.usedBytes + this.#heldBytes + bytes - limitBytes;
      const missing = Math.max(excess, excess > 0 ? 0 : this.#options.free.take(bytes));
      if (missing <= 0) return;
      if (!this.free(missing)) throw this.#noRoom(bytes);
    }
  }

  /** Runs `write`; if the disk is full, evicts something and tries once more. */
  relieved<T>(bytes: number, write: () => T): T {
    try {
      return write();
    } catch (error) {
      if (faultOf(error) !== "full") throw error;
      this.#options.reserve.remove();
      if (!this.free(Math.max(2 * bytes, RELIEF_BYTES))) throw error;
      return write();
    }
  }

  /** Reserves `bytes` more for something that is being written; returns its new reserved total. Throws no_room. */
  hold(bytes: number, heldBytes: number): number {
    if (this.limitBytes > 0 && heldBytes + bytes > this.limitBytes) throw this.#noRoom(heldBytes + bytes);
    this.ensure(bytes);
    this.#heldBytes += bytes;
    return heldBytes + bytes;
  }

  /** Releases reserved room. */
  release(bytes: number): void {
    this.#heldBytes = Math.max(0, this.#heldBytes - bytes);
  }

  /** Frees some of the needed bytes; returns false if there is nothing left to free. */
  free(bytes: number): boolean {
    const { clears, segments, reclaim } = this.#options;
    const clear = clears.first;
    if (clear !== undefined && this.#removing(() => clears.step(clear), [])) return true;
    const before = this.usedBytes;
    this.removeExpired(EVICTION_BATCH);
    if (this.usedBytes < before) return true;
    this.tidy(() => {
      segments.sealIfSparse();
      reclaim.compactSparsest();
    });
    return this.usedBytes < before || this.#evict(bytes) || this.sealAndReclaim();
  }

  /**
   * Frees about `bytes` because the disk is full, regardless of the limit; returns false if there was nothing left to
   * free.
   */
  relieve(bytes: number): boolean {
    this.#options.reserve.remove();
    return this.free(bytes);
  }

  /** Runs work that makes room and can be postponed: a disk that is too full for it is not a failure. */
  tidy(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (faultOf(error) !== "full") throw error;
    }
  }

  /** Evicts until usage is within the limit; for a limit that was lowered between two runs. */
  trim(): void {
    try {
      this.ensure(0);
    } catch (error) {
      // A disk that something else has filled is no reason not to start.
      if (!(error instanceof VitrineError) || error.code !== "no_room") throw error;
    }
  }

  /** Removes up to `limit` expired objects; returns their number. */
  removeExpired(limit: number): number {
    const { index, clock } = this.#options;
    const expired = index.expired(clock.nowMs(), limit);
    this.#remove(expired);
    return expired.length;
  }

  /** Evicts or moves some entries of the oldest segment; returns false if there is none. */
  #evict(bytes: number): boolean {
    const { index, clock } = this.#options;
    const nowMs = clock.nowMs();
    const victims: IndexRow[] = [];
    const used: IndexRow[] = [];
    let freedBytes = 0;
    let segment: number | undefined;
    for (const row of index.oldest(EVICTION_BATCH)) {
      segment ??= row.record.segment;
      if (freedBytes >= bytes || row.record.segment !== segment) break;
      if (index.isUsed(row) && !isExpired(row.meta, nowMs)) used.push(row);
      else {
        victims.push(row);
        freedBytes += row.file?.bytes ?? 0;
      }
    }
    this.#remove([...victims, ...this.#unmovable(used)]);
    return segment !== undefined;
  }

  /**
   * Gives used entries their second chance. Returns those that cannot get it, because the disk has no room or appended
   * records are not in the index yet.
   */
  #unmovable(used: readonly IndexRow[]): readonly IndexRow[] {
    if (used.length === 0 || this.#options.segments.pinned !== undefined) return used;
    try {
      this.#options.reclaim.moveToEnd(used);
      return [];
    } catch (error) {
      if (faultOf(error) !== "full") throw error;
      return used;
    }
  }

  #remove(victims: readonly IndexRow[]): void {
    const { index, removals, reclaim, clock } = this.#options;
    const forget = (): void =>
      index.transaction(() => {
        for (const victim of victims) index.remove(victim);
      });
    this.#removing(forget, victims);
    const nowMs = clock.nowMs();
    removals.removeFiles(victims);
    for (const victim of victims) reclaim.removed(victim);
    reclaim.dropEmpty();
    removals.publish(victims.filter(({ meta }) => isExpired(meta, nowMs)), "expired");
    removals.publish(victims.filter(({ meta }) => !isExpired(meta, nowMs)), "capacity");
  }

  /**
   * Runs a removal in the index. On a full disk the index itself needs room for that: first the reserve is removed,
   * then the victims' files, then the oldest segment.
   */
  #removing<T>(work: () => T, victims: readonly IndexRow[]): T {
    const { reserve, removals, reclaim } = this.#options;
    return tryInTurn(work, [
      () => reserve.remove(),
      () => removals.removeFiles(victims),
      () => reclaim.dropOldest(),
    ]);
  }

  /**
   * Seals the current segment and drops the oldest segments as long as they have no live records; returns true if that
   * freed anything.
   */
  sealAndReclaim(): boolean {
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

/** Runs `work`; while the disk is too full for it, runs the next of the steps and tries again. */
function tryInTurn<T>(work: () => T, steps: readonly (() => unknown)[]): T {
  for (const step of steps) {
    try {
      return work();
    } catch (error) {
      if (faultOf(error) !== "full") throw error;
      step();
    }
  }
  return work();
}
