/** Bytes of a buffer: of one write, and a usual tail that follows it. */
export const WRITE_BUFFER_BYTES: number = 1024 * 1024 + 4096;
/** Kept for the next ones; those of more stores at a time are left to the garbage collector. */
const KEPT = 8;

/** Buffers in which writes gather, used again: fresh ones would pile up as garbage (docs/RUNTIMES.md). */
export class WriteBuffers {
  readonly #free: Uint8Array[] = [];

  /** A buffer of WRITE_BUFFER_BYTES with anything in it, to be given back. */
  take(): Uint8Array {
    return this.#free.pop() ?? new Uint8Array(WRITE_BUFFER_BYTES);
  }

  /** Takes back what nothing reads or writes any more. */
  give(buffer: Uint8Array): void {
    if (this.#free.length < KEPT) this.#free.push(buffer);
  }
}
