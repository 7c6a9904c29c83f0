import type { ByteSource, Sender, SendOptions } from "./runtime.ts";

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

/**
 * The response of one private copy, already released, if the body is at most `limitBytes` long and at hand; else
 * undefined.
 */
export function smallBody(source: ByteSource, options: SendOptions, limitBytes: number): Response | undefined {
  const { start, end } = options;
  const sizeBytes = end - start;
  if (sizeBytes > limitBytes) return undefined;
  const bytes = sizeBytes === 0 ? null : source.copy(start, end);
  if (bytes === undefined) return undefined;
  source.release("finished");
  options.onEnd({ outcome: "complete", bytesSent: sizeBytes });
  return new Response(bytes, { status: options.status, headers: options.headers });
}

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

/** What happens around the chunks of a stream. */
export interface ChunkHooks<Chunk extends Uint8Array> {
  readonly hold: Hold;
  /** Makes what is enqueued out of a source's chunk. */
  readonly prepare: (chunk: Uint8Array) => Chunk;
  /** A chunk was enqueued and more will follow. */
  readonly waiting?: () => void;
  /** The stream was closed, failed or cancelled. */
  readonly ended?: (outcome: "complete" | "aborted") => void;
}

/** A body and the way to break it off from outside. */
export interface ChunkStream<Chunk extends Uint8Array> {
  readonly body: ReadableStream<Chunk>;
  fail(error: Error): void;
}

/**
 * A default stream of a source's chunks, one for each pull. It closes with the last byte, not with the pull after it: a
 * server that has sent Content-Length bytes need not pull again.
 */
export function chunkStream<Chunk extends Uint8Array>(
  source: ByteSource,
  options: SendOptions,
  { hold, prepare, waiting, ended }: ChunkHooks<Chunk>,
): ChunkStream<Chunk> {
  const chunks = source.chunks(options.start, options.end);
  const stop = () => {
    ended?.("aborted");
    void chunks.return();
  };
  let fail = (_error: Error) => {};
  const body = new ReadableStream<Chunk>({
    start(controller) {
      fail = (error) => {
        controller.error(error);
        stop();
      };
    },
    async pull(controller) {
      try {
        let next = await chunks.next();
        if (!next.done) {
          controller.enqueue(prepare(next.value));
          hold.sent(next.value.byteLength);
          if (!hold.complete) return waiting?.();
          next = await chunks.next();
        }
        hold.assertComplete();
        controller.close();
        ended?.("complete");
      } catch (error) {
        ended?.("aborted");
        throw error;
      }
    },
    cancel: stop,
  }, { highWaterMark: 0 });
  return { body, fail };
}

/**
 * Sends private copies only, so the source is released with the last chunk whatever the runtime does: for tests, for
 * edge isolates, and for Deno when slow readers pin too much. A reader that asks for nothing for `idleTimeoutSeconds`
 * (0: for ever) loses the rest.
 */
export class CopyingSender implements Sender {
  readonly copyLimitBytes: number;
  readonly #idleTimeoutMs: number;
  readonly #free: (copy: Uint8Array) => void;

  /** `free` gives the memory of a copy back that was handed over; by default, garbage collection does. */
  constructor(
    options: {
      readonly copyLimitBytes: number;
      readonly idleTimeoutSeconds: number;
      readonly free?: (copy: Uint8Array) => void;
    },
  ) {
    this.#free = options.free ?? (() => {});
    this.copyLimitBytes = options.copyLimitBytes;
    this.#idleTimeoutMs = options.idleTimeoutSeconds * 1000;
  }

  send(source: ByteSource, options: SendOptions): Response {
    return smallBody(source, options, this.copyLimitBytes) ?? this.#stream(source, options);
  }

  #stream(source: ByteSource, options: SendOptions): Response {
    const hold = new Hold(source, options);
    const copies = new Copies(this.#free);
    const idleTimeoutMs = this.#idleTimeoutMs;
    let idle: ReturnType<typeof setTimeout> | undefined;
    const stream = chunkStream(source, options, {
      hold,
      prepare(chunk) {
        clearTimeout(idle);
        return copies.of(chunk);
      },
      waiting() {
        if (idleTimeoutMs === 0) return;
        idle = setTimeout(() => stream.fail(new Error("send body: the reader stalled")), idleTimeoutMs);
      },
      ended(outcome) {
        clearTimeout(idle);
        hold.settle(outcome);
      },
    });
    const headers = { ...options.headers, "content-length": String(options.end - options.start) };
    return new Response(stream.body, { status: options.status, headers });
  }
}
