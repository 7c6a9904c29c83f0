import type { Clock } from "../../../core/clock.ts";
import { VitrineError } from "../../../core/errors.ts";
import { isExpired } from "../../../core/object.ts";
import type { Removals } from "./removals.ts";
import { faultOf } from "../disk.ts";
import type { FreeSpace, Reserve } from "./free_space.ts";
import type { ObjectIndex } from "./index.ts";
import type { IndexRow } from "../place.ts";
import type { Reclaim } from "./reclaim.ts";
import type { Segments } from "./segments.ts";
import type { Clears } from "./clears.ts";

/** Freed at least when the disk itself is full. */
const RELIEF_BYTES = 8 * 1024 * 1024;
/** The most entries that are looked at in one step of an eviction. */
const EVICTION_BATCH = 256;

/** What Space is made of. */
export interface SpaceOptions {
  /** 0 = no limit but the disk's. */
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
 * The size limit over segments and files, half-written files included. Expired objects go first. Then the log is taken
 * from its oldest end: an object that was not used since its record was written goes, one that was used is written
 * again at the end (FIFO with a second chance). A record's room comes free with its segment.
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

  /** Runs what writes to the disk; if that is full, once more after something was evicted. */
  relieved<T>(bytes: number, write: () => T): T {
    try {
      return write();
    } catch (error) {
      if (faultOf(error) !== "full") throw error;
      this.#options.reserve.giveUp();
      if (!this.free(Math.max(2 * bytes, RELIEF_BYTES))) throw error;
      return write();
    }
  }

  /** Keeps room for a file that is being written; returns what is held for it now. Throws no_room. */
  hold(bytes: number, heldBytes: number): number {
    if (this.limitBytes > 0 && heldBytes + bytes > this.limitBytes) throw this.#noRoom(heldBytes + bytes);
    this.ensure(bytes);
    this.#heldBytes += bytes;
    return heldBytes + bytes;
  }

  /** Gives held room back. */
  release(bytes: number): void {
    this.#heldBytes = Math.max(0, this.#heldBytes - bytes);
  }

  /** Frees some of the bytes that are needed; false if there is nothing left to free. */
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

  /** The disk is full whatever the limit says: frees about so many bytes; false if there was nothing left to free. */
  relieve(bytes: number): boolean {
    this.#options.reserve.giveUp();
    return this.free(bytes);
  }

  /** Does what makes room and may wait; a disk that is too full for it now is no failure. */
  tidy(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (faultOf(error) !== "full") throw error;
    }
  }

  /** Evicts until usage is within the limit again; for a limit that was lowered between two runs. */
  trim(): void {
    try {
      this.ensure(0);
    } catch (error) {
      // What others have filled the disk with is no reason not to start.
      if (!(error instanceof VitrineError) || error.code !== "no_room") throw error;
    }
  }

  /** Removes up to `limit` objects whose time is up; returns how many those were. */
  removeExpired(limit: number): number {
    const { index, clock } = this.#options;
    const expired = index.expired(clock.nowMs(), limit);
    this.#remove(expired);
    return expired.length;
  }

  /** Goes through some entries of the oldest segment; false if there is none. */
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
   * Gives used entries their second chance; returns those that cannot have it: the disk has no room, or records wait
   * for the index.
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
   * The index needs room itself to note what makes room: from the reserve, or else from what is to go, whose files then
   * go first.
   */
  #removing<T>(work: () => T, victims: readonly IndexRow[]): T {
    const { reserve, removals, reclaim } = this.#options;
    return tryInTurn(work, [
      () => reserve.giveUp(),
      () => removals.removeFiles(victims),
      () => reclaim.dropOldest(),
    ]);
  }

  /** Gives back the segment that is being written, too, if nothing in it lives; whether that freed anything. */
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

/** Runs `work`; while the disk is too full for it, once more after each of the steps. */
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
