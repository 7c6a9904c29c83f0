import { closeSync, existsSync, openSync, renameSync, rmSync, statfsSync, writeSync } from "node:fs";
import type { Clock } from "../../../core/clock.ts";
import type { BlockingDisk } from "../disk.ts";

const MIB = 1024 * 1024;

/** Maximum age of a measurement of the file system, in milliseconds, while there is plenty of room. */
const FRESH_MS = 250;
/** Shares of the disk's capacity that a tier without a limit of its own keeps free, and uses at most. */
const KEEP_FREE_SHARE = 1 / 10;
const DEFAULT_SHARE = 4 / 5;
/**
 * Share of the capacity and number of bytes that a tier with a limit of its own keeps free, whichever is less: enough
 * for its index.
 */
const KEEP_FREE_LEAST_SHARE = 1 / 20;
const KEEP_FREE_LEAST_BYTES = 16 * 1024 * 1024;

/**
 * Returns the limit of a tier without a limit of its own: a share of the disk's capacity; 0 (none) if the capacity is
 * unknown.
 */
export function defaultLimitBytes(capacityBytes: number): number {
  // Whole MiB are easier to read.
  return Math.floor(capacityBytes * DEFAULT_SHARE / MIB) * MIB;
}

/**
 * Tracks how much a tier may still write before its disk reaches the fill level at which the tier stops, whatever fills
 * it.
 */
export class FreeSpace {
  readonly #disk: BlockingDisk;
  readonly #path: string;
  readonly #clock: Clock;
  readonly #hasOwnLimit: boolean;
  #headroomBytes = Infinity;
  #askedMs = -Infinity;

  constructor(
    options: {
      readonly disk: BlockingDisk;
      readonly path: string;
      readonly clock: Clock;
      /** True if the tier's limit was configured: whoever did it knows the disk, so only little is kept free. */
      readonly hasOwnLimit: boolean;
    },
  ) {
    this.#disk = options.disk;
    this.#path = options.path;
    this.#clock = options.clock;
    this.#hasOwnLimit = options.hasOwnLimit;
  }

  /** The last measurement, minus the bytes taken since; may be negative. Infinity if the free space is unknown. */
  get headroomBytes(): number {
    return this.#headroomBytes;
  }

  /**
   * Takes `bytes` if they are available; otherwise returns the number of missing bytes. Measures again before it
   * reports any as missing.
   */
  take(bytes: number): number {
    const isPlenty = this.#headroomBytes >= 4 * bytes && this.#clock.monotonicMs() - this.#askedMs < FRESH_MS;
    if (!isPlenty) this.measure();
    if (this.#headroomBytes < bytes) return bytes - this.#headroomBytes;
    this.#headroomBytes -= bytes;
    return 0;
  }

  /** Measures the file system. */
  measure(): void {
    const space = this.#disk.space(this.#path);
    this.#askedMs = this.#clock.monotonicMs();
    this.#headroomBytes = space === undefined ? Infinity : space.freeBytes - this.#keepFree(space.capacityBytes);
  }

  #keepFree(capacityBytes: number): number {
    return this.#hasOwnLimit
      ? Math.min(capacityBytes * KEEP_FREE_LEAST_SHARE, KEEP_FREE_LEAST_BYTES)
      : capacityBytes * KEEP_FREE_SHARE;
  }
}

const MOST_BYTES = 2 * 1024 * 1024;
/** Share of the disk's capacity, for small disks. */
const SHARE = 1 / 32;
const PIECE_BYTES = 64 * 1024;

/**
 * A file that reserves room on the disk. It is removed when the disk is full, so that the index has room to record
 * further removals.
 */
export class Reserve {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Removes the file; returns false if there was none. */
  remove(): boolean {
    try {
      if (!existsSync(this.#path)) return false;
      rmSync(this.#path);
      return true;
    } catch {
      return false;
    }
  }

  /**
   * Writes the file unless it exists or the disk has too little room. Never throws: without a reserve everything works
   * until the disk is full.
   */
  fill(): void {
    if (existsSync(this.#path)) return;
    const temp = `${this.#path}.${process.pid}.new`;
    try {
      const { blocks, bavail, bsize } = statfsSync(this.#path.slice(0, this.#path.lastIndexOf("/")));
      const bytes = Math.floor(Math.min(MOST_BYTES, blocks * bsize * SHARE));
      if (bavail * bsize < 2 * bytes) return;
      write(temp, bytes);
      renameSync(temp, this.#path);
    } catch {
      rmSync(temp, { force: true });
    }
  }
}

function write(path: string, bytes: number): void {
  const descriptor = openSync(path, "w");
  try {
    // Random bytes, because some file systems store zeros as a hole.
    const piece = crypto.getRandomValues(new Uint8Array(PIECE_BYTES));
    for (let at = 0; at < bytes; at += piece.length) {
      writeSync(descriptor, piece, 0, Math.min(piece.length, bytes - at));
    }
  } finally {
    closeSync(descriptor);
  }
}
