/** One chunk at a time from a writer that pushes to a reader that pulls: neither is ever more than one chunk ahead. */
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

  /** Resolves when the reader is done with the chunk: it has asked for the next one, or has gone. One at a time. */
  put(chunk: Uint8Array): Promise<void> {
    if (this.#readerGone || this.#end !== undefined || chunk.length === 0) return Promise.resolve();
    return new Promise((done) => {
      this.#offered = { chunk, done, taken: false };
      this.#serve();
    });
  }

  /** Lets the reader come to the end. */
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

  /** The reader takes nothing more. */
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
