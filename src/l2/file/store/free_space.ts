import type { Clock } from "../../../core/clock.ts";
import type { BlockingDisk } from "./blocking_disk.ts";
import { closeSync, existsSync, openSync, renameSync, rmSync, statfsSync, writeSync } from "node:fs";

const MIB = 1024 * 1024;

/** How old an answer of the file system may be, in milliseconds, as long as there is plenty of room. */
const FRESH_MS = 250;
/** Of the capacity of the disk; what a tier keeps free, and takes at most, if it has no limit of its own. */
const KEEP_FREE_SHARE = 1 / 10;
const DEFAULT_SHARE = 4 / 5;
/** What a tier with a limit of its own keeps free: enough for its index. */
const KEEP_FREE_LEAST_SHARE = 1 / 20;
const KEEP_FREE_LEAST_BYTES = 16 * 1024 * 1024;

/**
 * The limit of a tier that was given none: a share of the disk's capacity; 0 (none) if the file system does not tell
 * it.
 */
export function defaultLimitBytes(capacityBytes: number): number {
  // Whole MiB, which are easier to read.
  return Math.floor(capacityBytes * DEFAULT_SHARE / MIB) * MIB;
}

/** How much a tier may still write before its disk is as full as it may become, whoever fills it. */
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
      /** Whether the tier's limit was chosen by a person, who then knows the disk: only little is kept free. */
      readonly hasOwnLimit: boolean;
    },
  ) {
    this.#disk = options.disk;
    this.#path = options.path;
    this.#clock = options.clock;
    this.#hasOwnLimit = options.hasOwnLimit;
  }

  /** As last seen, less what was taken since; may be negative. Infinity if the file system does not tell. */
  get headroomBytes(): number {
    return this.#headroomBytes;
  }

  /**
   * Takes `bytes` if there is so much; otherwise returns how many are missing. Asks the file system before it says so.
   */
  take(bytes: number): number {
    const isPlenty = this.#headroomBytes >= 4 * bytes && this.#clock.monotonicMs() - this.#askedMs < FRESH_MS;
    if (!isPlenty) this.look();
    if (this.#headroomBytes < bytes) return bytes - this.#headroomBytes;
    this.#headroomBytes -= bytes;
    return 0;
  }

  /** Asks the file system. */
  look(): void {
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
/** Of the disk's capacity, for small disks. */
const SHARE = 1 / 32;
const PIECE_BYTES = 64 * 1024;

/**
 * A file that takes room on the disk for no other reason than to be removed when the disk is full, so that the index
 * can note what else is removed.
 */
export class Reserve {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Removes the file; false if it was not there. */
  giveUp(): boolean {
    try {
      if (!existsSync(this.#path)) return false;
      rmSync(this.#path);
      return true;
    } catch {
      return false;
    }
  }

  /**
   * Writes the file unless it is there or there is no room for it yet. Never throws: without a reserve everything works
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
    // Not zeros, which some file systems store as a hole.
    const piece = crypto.getRandomValues(new Uint8Array(PIECE_BYTES));
    for (let at = 0; at < bytes; at += piece.length) {
      writeSync(descriptor, piece, 0, Math.min(piece.length, bytes - at));
    }
  } finally {
    closeSync(descriptor);
  }
}
