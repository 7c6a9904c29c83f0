import { VitrineError } from "../../core/errors.ts";
import type { PutResult } from "../storage.ts";
import type { AskedChunk, AskedFinish } from "./messages.ts";
import type { StreamRequest, TierStream, VerifiedWrite } from "./tier_changes.ts";

/** Options of a RemoteStream. */
export interface RemoteStreamOptions {
  /** Unique within the worker. */
  readonly id: number;
  readonly request: StreamRequest;
  readonly windows: StreamWindows;
  /** Resolves when the storage thread has stored the chunk. */
  readonly askChunk: (asked: AskedChunk) => Promise<unknown>;
  readonly askFinish: (asked: AskedFinish) => Promise<PutResult>;
  /** Tells the storage thread that the stream was aborted. */
  readonly onAbort: () => void;
}

/** A worker's side of an upload that the storage thread stores. The bytes pass through a window of shared memory. */
export class RemoteStream implements TierStream {
  readonly #options: RemoteStreamOptions;
  readonly #window: StreamWindow;
  /** Start of the half that is being filled, and the end of its bytes. */
  #start = 0;
  #end = 0;
  /** Pending store of the other half by the storage thread. */
  #storing: Promise<unknown> = Promise.resolve();
  #isOpen = false;
  #hasEnded = false;

  constructor(options: RemoteStreamOptions) {
    this.#options = options;
    this.#window = options.windows.take();
  }

  async write(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + this.#start + HALF_BYTES - this.#end);
      this.#window.set(part, this.#end);
      at += part.length;
      this.#end += part.length;
      if (this.#end === this.#start + HALF_BYTES) await this.#send();
    }
  }

  async finish(write: VerifiedWrite): Promise<PutResult> {
    const { id, askFinish, windows } = this.#options;
    if (this.#end > this.#start || !this.#isOpen) await this.#send();
    await this.#storing;
    const result = await askFinish({ kind: "finish", stream: id, write });
    this.#hasEnded = true;
    windows.give(this.#window);
    return result;
  }

  abort(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#window.abandon();
    if (this.#isOpen) this.#options.onAbort();
  }

  /** Hands the filled half to the storage thread, and continues with the other half once that is free. */
  async #send(): Promise<void> {
    if (this.#hasEnded) throw new VitrineError("client_gone", "store upload: it was broken off");
    const { id, request, askChunk } = this.#options;
    const opens = this.#isOpen ? undefined : { request, window: this.#window.buffer };
    this.#isOpen = true;
    const before = this.#storing;
    this.#storing = askChunk({ kind: "chunk", stream: id, opens, start: this.#start, end: this.#end });
    // The next write, or `finish`, throws the error.
    this.#storing.catch(() => {});
    this.#start = this.#start === 0 ? HALF_BYTES : 0;
    this.#end = this.#start;
    await before;
  }
}

/** Bytes of each half of a window. */
export const HALF_BYTES: number = 512 * 1024;
const HEADER_BYTES = 8;
const OPEN = 0;
const ABANDONED = 1;
/** Windows kept for later uploads. Any others are left to the garbage collector. */
const KEPT = 4;

/**
 * Memory through which one upload passes from a worker to the storage thread. It has two halves, so that one is filled
 * while the other is stored, after a word that says whether the upload was abandoned.
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

  /** Marks the upload as abandoned: no client waits for it any more. */
  abandon(): void {
    Atomics.store(this.#word, 0, ABANDONED);
  }

  /** Prepares the window for another upload. */
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

/** A pool of windows: a new one for each upload would pile up as garbage (docs/RUNTIMES.md). */
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
