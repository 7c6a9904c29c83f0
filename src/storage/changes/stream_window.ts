/** Bytes of each half of a window. */
export const HALF_BYTES: number = 512 * 1024;
const HEADER_BYTES = 8;
const OPEN = 0;
const ABANDONED = 1;
/** Windows that are kept for later uploads; those of more uploads at a time are left to the garbage collector. */
const KEPT = 4;

/**
 * Memory through which one upload passes from a worker to the storage thread: two halves, so that one fills while the
 * other is stored, behind a word that says whether anybody still waits for the upload.
 */
export class StreamWindow {
  readonly buffer: SharedArrayBuffer;
  readonly #word: Int32Array;
  readonly #bytes: Uint8Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(HEADER_BYTES + 2 * HALF_BYTES)) {
    this.buffer = buffer;
    this.#word = new Int32Array(buffer, 0, 1);
    this.#bytes = new Uint8Array(buffer, HEADER_BYTES);
  }

  get isAbandoned(): boolean {
    return Atomics.load(this.#word, 0) === ABANDONED;
  }

  /** Nobody waits for the upload any more. */
  abandon(): void {
    Atomics.store(this.#word, 0, ABANDONED);
  }

  /** Ready for another upload. */
  reopen(): void {
    Atomics.store(this.#word, 0, OPEN);
  }

  set(chunk: Uint8Array, at: number): void {
    this.#bytes.set(chunk, at);
  }

  bytes(start: number, end: number): Uint8Array {
    return this.#bytes.subarray(start, end);
  }
}

/** Windows that are used again: fresh ones would pile up as garbage (docs/RUNTIMES.md). */
export class StreamWindows {
  readonly #free: StreamWindow[] = [];

  take(): StreamWindow {
    const window = this.#free.pop() ?? new StreamWindow();
    window.reopen();
    return window;
  }

  /** Takes back a window that no other thread reads any more. */
  give(window: StreamWindow): void {
    if (this.#free.length < KEPT) this.#free.push(window);
  }
}
