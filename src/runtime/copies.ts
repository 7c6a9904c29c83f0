/**
 * Copies of the chunks that one response sends, of which one is alive at a time: when a runtime asks for a chunk it has
 * taken the one before.
 */
export class Copies {
  readonly #free: (copy: Uint8Array) => void;
  #last: Uint8Array | undefined;

  /** `free` gives the memory of a copy back. */
  constructor(free: (copy: Uint8Array) => void) {
    this.#free = free;
  }

  of(chunk: Uint8Array): Uint8Array {
    this.free();
    this.#last = chunk.slice();
    return this.#last;
  }

  /** Gives the last copy back. */
  free(): void {
    if (this.#last !== undefined) this.#free(this.#last);
    this.#last = undefined;
  }
}
