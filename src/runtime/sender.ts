import type { Transfer, TransferWatch } from "../core/watchdog.ts";
import type { ByteSource, CopyOptions, Sender, SenderOptions, SendOptions } from "./runtime.ts";

/**
 * The source of one streamed response: counts the bytes handed over, watches how long they take and releases the source
 * once.
 */
export class SourceGuard {
  readonly #source: ByteSource;
  readonly #options: SendOptions;
  readonly #transfer: Transfer | undefined;
  #bytesSent = 0;
  #released = false;
  #settled = false;
  #isSlow = false;
  #cut = () => {};

  constructor(source: ByteSource, options: SendOptions, watch: TransferWatch | undefined) {
    this.#source = source;
    this.#options = options;
    this.#transfer = watch?.begin(() => {
      this.#isSlow = true;
      this.#cut();
    });
  }

  /** Sets what aborts the response if the client takes it too slowly. */
  onSlow(cut: () => void): void {
    this.#cut = cut;
  }

  /** The runtime waits for the client to take what it has. */
  waits(): void {
    this.#transfer?.waits();
  }

  /** The client has taken bytes that were handed over before. */
  taken(bytes: number): void {
    this.#transfer?.moved(bytes);
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

  /** Releases the source before the end; only the first call has an effect. */
  release(outcome: "finished" | "aborted"): void {
    if (this.#released) return;
    this.#released = true;
    this.#source.release(outcome);
  }

  /** Releases the source and reports the end; only the first call has an effect. */
  settle(outcome: "complete" | "aborted"): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#transfer?.end();
    this.release(outcome === "complete" ? "finished" : "aborted");
    this.#options.onEnd({ outcome, bytesSent: this.#bytesSent, ...(this.#isSlow ? { isSlow: true } : {}) });
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

/** Copies the bytes of `extents` from `start` on into `bytes`, until it is full. */
export function copyInto(bytes: Uint8Array, extents: readonly Uint8Array[], start: number): void {
  const end = start + bytes.length;
  let extentStart = 0;
  for (const extent of extents) {
    const part = extent.subarray(Math.max(0, start - extentStart), Math.max(0, end - extentStart));
    bytes.set(part, Math.max(0, extentStart - start));
    extentStart += extent.length;
    if (extentStart >= end) break;
  }
}

/** A response with a private copy of bytes at hand. */
export function copiedBody(
  extents: readonly Uint8Array[],
  { start, end, status, headers }: CopyOptions,
): Response {
  if (start === end) return new Response(null, { status, headers });
  const bytes = new Uint8Array(end - start);
  copyInto(bytes, extents, start);
  return new Response(bytes, { status, headers });
}

/** Maximum total size of the responses that a sender keeps in order to give them again. */
const KEPT_BYTES = 8 * 1024 * 1024;
/** Estimated size of a kept response beside its body: it bounds the number of those with small bodies. */
const RESPONSE_BYTES = 4096;

/**
 * Responses that are given again and again. Both runtimes let the clone of a Response that nobody has read share its
 * bytes, and do not check its header fields again (docs/RUNTIMES.md).
 */
export class KeptResponses {
  readonly #limitBytes: number;
  readonly #kept = new Map<object, Response>();
  #bytes = 0;

  /** `limitBytes`: maximum total size; when it is reached, all of them are forgotten. */
  constructor(limitBytes = KEPT_BYTES) {
    this.#limitBytes = limitBytes;
  }

  /** A response equal to the one that `make` gave when `sameAs` was new; its own if there is none. */
  of({ start, end, sameAs }: Pick<CopyOptions, "start" | "end" | "sameAs">, make: () => Response): Response {
    const sizeBytes = end - start + RESPONSE_BYTES;
    if (sameAs === undefined || sizeBytes > this.#limitBytes) return make();
    const known = this.#kept.get(sameAs);
    if (known !== undefined) return known.clone();
    if (this.#bytes + sizeBytes > this.#limitBytes) {
      this.#kept.clear();
      this.#bytes = 0;
    }
    const made = make();
    this.#kept.set(sameAs, made);
    this.#bytes += sizeBytes;
    return made.clone();
  }
}

/** Size of the copies of a stream in bytes: small, because a reader that stalls keeps two or three of them. */
const COPY_BYTES = 256 * 1024;

/** Copies of the bytes [start, end), each of at most COPY_BYTES, made when they are asked for. */
async function* copiesOf(source: ByteSource, start: number, end: number): AsyncGenerator<Uint8Array, void, void> {
  let at = start;
  while (at < end) {
    const copy = source.copy(at, Math.min(end, at + COPY_BYTES));
    if (copy === undefined) break;
    yield copy;
    at += copy.byteLength;
  }
  // Bytes that are not there yet, or not any more: then this throws.
  for await (const chunk of source.chunks(at, end)) {
    for (let from = 0; from < chunk.byteLength; from += COPY_BYTES) {
      yield copyOf(chunk.subarray(from, from + COPY_BYTES));
    }
  }
}

/**
 * Frees the memory of a chunk at once: such buffers pile up as garbage, and further ones take new pages of the system.
 * The runtimes hold the bytes themselves that they have yet to send.
 */
export function free(chunk: Uint8Array): void {
  const { buffer } = chunk;
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}

/** Copies a chunk, which may be a Buffer; the `slice` of a Buffer copies nothing. */
export function copyOf(chunk: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(chunk);
}

/**
 * The copies of chunks of one response. Frees each when the next one is made: a runtime that asks for a chunk has taken
 * the previous one.
 */
export class ChunkCopies {
  readonly #free: (copy: Uint8Array) => void;
  #last: Uint8Array | undefined;

  /** `free` releases the memory of a copy. */
  constructor(free: (copy: Uint8Array) => void) {
    this.#free = free;
  }

  of(chunk: Uint8Array): Uint8Array {
    return this.next(copyOf(chunk));
  }

  /** Takes a copy that was made. */
  next(copy: Uint8Array): Uint8Array {
    this.free();
    this.#last = copy;
    return copy;
  }

  /** Frees the last copy. */
  free(): void {
    if (this.#last !== undefined) this.#free(this.#last);
    this.#last = undefined;
  }
}

/** A stream of chunks, and hooks into it. */
export interface ChunkHooks<Chunk extends Uint8Array> {
  readonly chunks: AsyncGenerator<Uint8Array, void, void>;
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
 * A default stream with one chunk per pull. It closes right after the last byte, because a server that
 * has Content-Length bytes may not pull again.
 */
export function chunkStream<Chunk extends Uint8Array>(
  { chunks, guard, prepare, waiting, ended }: ChunkHooks<Chunk>,
): ChunkStream<Chunk> {
  const stop = () => {
    ended?.("aborted");
    void chunks.return();
  };
  let fail = (_error: Error) => {};
  let handedBytes = 0;
  const body = new ReadableStream<Chunk>({
    start(controller) {
      fail = (error) => {
        controller.error(error);
        stop();
      };
    },
    async pull(controller) {
      // A runtime that asks for a chunk has sent the previous one.
      guard.taken(handedBytes);
      try {
        let next = await chunks.next();
        if (!next.done) {
          handedBytes = next.value.byteLength;
          controller.enqueue(prepare(next.value));
          guard.sent(handedBytes);
          guard.waits();
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
  readonly #transferWatch: TransferWatch | undefined;

  /** `free` releases the memory of a copy that was handed over (default: left to garbage collection). */
  constructor(
    options: Pick<SenderOptions, "idleTimeoutSeconds" | "transferWatch"> & {
      readonly copyLimitBytes: number;
      readonly free?: (copy: Uint8Array) => void;
    },
  ) {
    this.#free = options.free ?? (() => {});
    this.#transferWatch = options.transferWatch;
    this.copyLimitBytes = options.copyLimitBytes;
    this.#idleTimeoutMs = options.idleTimeoutSeconds * 1000;
  }

  copy(extents: readonly Uint8Array[], options: CopyOptions): Response {
    return copiedBody(extents, options);
  }

  send(source: ByteSource, options: SendOptions): Response {
    return smallBody(source, options, this.copyLimitBytes) ?? this.#stream(source, options);
  }

  #stream(source: ByteSource, options: SendOptions): Response {
    const guard = new SourceGuard(source, options, this.#transferWatch);
    const copies = new ChunkCopies(this.#free);
    const idleTimeoutMs = this.#idleTimeoutMs;
    let idle: ReturnType<typeof setTimeout> | undefined;
    const stream = chunkStream({
      chunks: copiesOf(source, options.start, options.end),
      guard,
      prepare(copy) {
        clearTimeout(idle);
        return copies.next(copy);
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
    guard.onSlow(() => {
      options.context.abort?.();
      stream.fail(new Error("send body: the reader is too slow"));
    });
    const headers = { ...options.headers, "content-length": String(options.end - options.start) };
    return new Response(stream.body, { status: options.status, headers });
  }
}
