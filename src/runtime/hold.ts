import type { ByteSource, SendOptions } from "./types.ts";

/** The hold of one streamed response: counts what was handed over and releases once. */
export class Hold {
  readonly #source: ByteSource;
  readonly #options: SendOptions;
  #bytesSent = 0;
  #settled = false;

  constructor(source: ByteSource, options: SendOptions) {
    this.#source = source;
    this.#options = options;
  }

  /** Whether every byte was handed over. */
  get complete(): boolean {
    return this.#bytesSent === this.#options.end - this.#options.start;
  }

  /** Counts bytes that were handed to the runtime. */
  sent(bytes: number): void {
    this.#bytesSent += bytes;
  }

  /** Throws if the source ended early: a chunked body would look whole to the client. */
  assertComplete(): void {
    if (!this.complete) throw new Error(`send body: ended after ${this.#bytesSent} bytes`);
  }

  /** Releases the source and tells of the end; only the first call counts. */
  settle(outcome: "complete" | "aborted"): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#source.release(outcome === "complete" ? "finished" : "aborted");
    this.#options.onEnd({ outcome, bytesSent: this.#bytesSent });
  }
}
