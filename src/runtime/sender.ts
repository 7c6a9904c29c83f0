import type { ByteSource, Sender, SendOptions } from "./runtime.ts";

/** The source of one streamed response: counts the bytes handed over and releases the source once. */
export class SourceGuard {
  readonly #source: ByteSource;
  readonly #options: SendOptions;
  #bytesSent = 0;
  #settled = false;

  constructor(source: ByteSource, options: SendOptions) {
    this.#source = source;
    this.#options = options;
  }

  /** True if every byte was handed over. */
  get complete(): boolean {
    return this.#bytesSent === this.#options.end - this.#options.start;
  }

  /** Counts bytes that were handed to the runtime. */
  sent(bytes: number): void {
    this.#bytesSent += bytes;
  }

  /** Throws if the source ended early, because a chunked body would look complete to the client. */
  assertComplete(): void {
    if (!this.complete) throw new Error(`send body: ended after ${this.#bytesSent} bytes`);
  }

  /** Releases the source and reports the end; only the first call has an effect. */
  settle(outcome: "complete" | "aborted"): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#source.release(outcome === "complete" ? "finished" : "aborted");
    this.#options.onEnd({ outcome, bytesSent: this.#bytesSent });
  }
}

/**
 * A response with a private copy of a body of at most `limitBytes` that is available now; the source is released
 * already. Otherwise undefined.
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
 * Copies the chunks of one response and frees each copy when the next one is made: a runtime that asks for a chunk has
 * taken the previous one.
 */
export class ChunkCopies {
  readonly #free: (copy: Uint8Array) => void;
  #last: Uint8Array | undefined;

  /** `free` releases the memory of a copy. */
  constructor(free: (copy: Uint8Array) => void) {
    this.#free = free;
  }

  of(chunk: Uint8Array): Uint8Array {
    this.free();
    this.#last = chunk.slice();
    return this.#last;
  }

  /** Frees the last copy. */
  free(): void {
    if (this.#last !== undefined) this.#free(this.#last);
    this.#last = undefined;
  }
}

/** Hooks into a stream of chunks. */
export interface ChunkHooks<Chunk extends Uint8Array> {
  readonly guard: SourceGuard;
  /** Turns a chunk of the source into the one to enqueue. */
  readonly prepare: (chunk: Uint8Array) => Chunk;
  /** Called when a chunk was enqueued and more will follow. */
  readonly waiting?: () => void;
  /** Called when the stream was closed, failed or was cancelled. */
  readonly ended?: (outcome: "complete" | "aborted") => void;
}

/** A body that can be aborted from outside. */
export interface ChunkStream<Chunk extends Uint8Array> {
  readonly body: ReadableStream<Chunk>;
  fail(error: Error): void;
}

/**
 * A default stream with one chunk of the source per pull. It closes right after the last byte, because a server that
 * has Content-Length bytes may not pull again.
 */
export function chunkStream<Chunk extends Uint8Array>(
  source: ByteSource,
  options: SendOptions,
  { guard, prepare, waiting, ended }: ChunkHooks<Chunk>,
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
          guard.sent(next.value.byteLength);
          if (!guard.complete) return waiting?.();
          next = await chunks.next();
        }
        guard.assertComplete();
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
 * A sender that hands over only private copies, so that it can release the source after the last chunk whatever the
 * runtime does. It serves tests, edge isolates, and Deno when slow readers pin too much memory. A response that is not
 * pulled for `idleTimeoutSeconds` (0: no limit) is aborted.
 */
export class CopyingSender implements Sender {
  readonly copyLimitBytes: number;
  readonly #idleTimeoutMs: number;
  readonly #free: (copy: Uint8Array) => void;

  /** `free` releases the memory of a copy that was handed over (default: left to garbage collection). */
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
    const guard = new SourceGuard(source, options);
    const copies = new ChunkCopies(this.#free);
    const idleTimeoutMs = this.#idleTimeoutMs;
    let idle: ReturnType<typeof setTimeout> | undefined;
    const stream = chunkStream(source, options, {
      guard,
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
        guard.settle(outcome);
      },
    });
    const headers = { ...options.headers, "content-length": String(options.end - options.start) };
    return new Response(stream.body, { status: options.status, headers });
  }
}
