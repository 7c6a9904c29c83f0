/**
 * Passes one chunk at a time from a writer that pushes to a reader that pulls. Neither is ever more than one chunk
 * ahead.
 */
export class HandOver implements AsyncIterableIterator<Uint8Array, void, void> {
  #offered: { readonly chunk: Uint8Array; readonly done: () => void; taken: boolean } | undefined;
  #reader:
    | { resolve: (result: IteratorResult<Uint8Array, void>) => void; reject: (reason: unknown) => void }
    | undefined;
  #end: { readonly error: unknown } | "ended" | undefined;
  #readerGone = false;

  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * Resolves when the reader is done with the chunk: it has requested the next one, or has gone. One call at a time.
   */
  put(chunk: Uint8Array): Promise<void> {
    if (this.#readerGone || this.#end !== undefined || chunk.length === 0) return Promise.resolve();
    return new Promise((done) => {
      this.#offered = { chunk, done, taken: false };
      this.#serve();
    });
  }

  /** Ends the reader's iteration, once it has taken the last chunk. */
  end(): void {
    this.#end ??= "ended";
    this.#serve();
  }

  /** Makes the reader's next call fail. */
  fail(error: unknown): void {
    this.#end ??= { error };
    this.#release();
    this.#serve();
  }

  /** Called when the reader takes no more chunks. */
  close(): void {
    this.#readerGone = true;
    this.#release();
  }

  next(): Promise<IteratorResult<Uint8Array, void>> {
    if (this.#offered?.taken === true) this.#release();
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
      this.#serve();
    });
  }

  return(): Promise<IteratorResult<Uint8Array, void>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  #serve(): void {
    const reader = this.#reader;
    if (reader === undefined) return;
    const offered = this.#offered;
    if (offered !== undefined && !offered.taken) {
      offered.taken = true;
      this.#reader = undefined;
      reader.resolve({ done: false, value: offered.chunk });
    } else if (this.#end !== undefined) {
      this.#reader = undefined;
      if (this.#end === "ended") reader.resolve({ done: true, value: undefined });
      else reader.reject(this.#end.error);
    }
  }

  #release(): void {
    const offered = this.#offered;
    this.#offered = undefined;
    offered?.done();
  }
}

/** Bytes of each half of a window. */
export const HALF_BYTES: number = 512 * 1024;
const HEADER_BYTES = 8;
const OPEN = 0;
const ABANDONED = 1;
/** Windows kept for later objects. Any others are left to the garbage collector. */
const KEPT = 4;

/**
 * Memory through which the bytes of one object pass to another thread. It has two halves, so that one is filled while
 * the other is stored, after a word that says whether the transfer was abandoned.
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

  /** Marks the transfer as abandoned: nothing waits for it any more. */
  abandon(): void {
    Atomics.store(this.#word, 0, ABANDONED);
  }

  /** Prepares the window for another object. */
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

/** A pool of windows: a new one for each object would pile up as garbage (docs/RUNTIMES.md). */
export class StreamWindows {
  readonly #free: StreamWindow[] = [];

  take(): StreamWindow {
    const window = this.#free.pop() ?? new StreamWindow();
    window.reopen();
    return window;
  }

  /** Returns a window that no other thread reads any more. */
  give(window: StreamWindow): void {
    if (this.#free.length < KEPT) this.#free.push(window);
  }
}

/** Fills the halves of a window in turn. */
export class WindowWriter {
  readonly #window: StreamWindow;
  readonly #send: (start: number, end: number) => Promise<unknown>;
  /** Start of the half that is being filled, and the end of its bytes. */
  #start = 0;
  #end = 0;
  /** Pending store of the other half by the other thread. */
  #storing: Promise<unknown> | undefined;

  /** `send` resolves when the other thread is done with the bytes from `start` to `end` of the window. */
  constructor(window: StreamWindow, send: (start: number, end: number) => Promise<unknown>) {
    this.#window = window;
    this.#send = send;
  }

  /** Copies the chunk; resolves when there is room for another. Throws the errors of `send`. */
  async write(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + this.#start + HALF_BYTES - this.#end);
      this.#window.set(part, this.#end);
      at += part.length;
      this.#end += part.length;
      if (this.#end === this.#start + HALF_BYTES) await this.#flush();
    }
  }

  /** Sends the rest, and waits for all of it. An empty object is sent as one empty half. */
  async finish(): Promise<void> {
    if (this.#end > this.#start || this.#storing === undefined) await this.#flush();
    await this.#storing;
  }

  /** Hands over the filled half, and continues with the other half once that is free. */
  async #flush(): Promise<void> {
    const before = this.#storing;
    this.#storing = this.#send(this.#start, this.#end);
    // The next write, or `finish`, throws the error.
    this.#storing.catch(() => {});
    this.#start = this.#start === 0 ? HALF_BYTES : 0;
    this.#end = this.#start;
    await before;
  }
}
