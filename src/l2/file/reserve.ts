import { closeSync, existsSync, openSync, renameSync, rmSync, statfsSync, writeSync } from "node:fs";

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
