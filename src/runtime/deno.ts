import { servePlainly } from "./deno_plain_server.ts";
import { DenoServer, parseServeConnection } from "./deno_server.ts";
import type {
  ByteSource,
  CopyOptions,
  Runtime,
  Sender,
  SenderOptions,
  SendOptions,
  ServeOptions,
  Server,
} from "./runtime.ts";
import {
  ChunkCopies,
  chunkStream,
  copiedBody,
  CopyingSender,
  copyInto,
  free,
  KeptResponses,
  smallBody,
  SourceGuard,
} from "./sender.ts";

declare const Deno: {
  readonly version: { readonly deno: string };
};

/** Up to this size one copy is faster than a stream, as measured (docs/RUNTIMES.md). */
const COPY_LIMIT_BYTES = 32 * 1024;
const DEFAULT_PINNED_LIMIT_BYTES = 256 * 1024 * 1024;

/** The Runtime for Deno. */
export const denoRuntime = (): Runtime => ({
  name: "deno",
  version: Deno.version.deno,
  stopsThreads: false,
  serve,
  createSender: (options) => new DenoSender(options),
  discard: free,
});

function serve(options: ServeOptions): Server {
  const serveConnection = parseServeConnection();
  return serveConnection === undefined ? servePlainly(options) : new DenoServer(options, serveConnection);
}

/**
 * Streams views of the source's memory. Deno reads them until `completed` settles, so the source is released only then.
 * A stalled reader holds that memory until the transfer is cut; therefore the memory that responses pin is limited, and
 * beyond the limit bodies are copied.
 */
class DenoSender implements Sender {
  readonly copyLimitBytes = COPY_LIMIT_BYTES;
  readonly #copying: Sender;
  readonly #pinnedLimitBytes: number;
  readonly #transferWatch: SenderOptions["transferWatch"];
  readonly #kept = new KeptResponses();
  /** Bodies on their way into a Response, which copies them. */
  readonly #scratch = new Uint8Array(COPY_LIMIT_BYTES);
  #pinnedBytes = 0;

  constructor(options: SenderOptions) {
    this.#copying = new CopyingSender({ ...options, copyLimitBytes: COPY_LIMIT_BYTES, free });
    this.#transferWatch = options.transferWatch;
    this.#pinnedLimitBytes = options.pinnedLimitBytes ?? DEFAULT_PINNED_LIMIT_BYTES;
  }

  copy(extents: readonly Uint8Array[], options: CopyOptions): Response {
    return this.#kept.of(options, () => this.#copied(extents, options));
  }

  send(source: ByteSource, options: SendOptions): Response {
    const small = smallBody(source, options, COPY_LIMIT_BYTES);
    if (small !== undefined) return small;
    const { completed } = options.context;
    if (completed === undefined || this.#pinnedBytes + options.pinnedBytes > this.#pinnedLimitBytes) {
      return this.#copying.send(source, options);
    }
    this.#pinnedBytes += options.pinnedBytes;
    const guard = new SourceGuard(source, options, this.#transferWatch);
    const copies = new ChunkCopies(free);
    const settle = (outcome: "complete" | "aborted") => {
      this.#pinnedBytes -= options.pinnedBytes;
      copies.free();
      guard.settle(outcome);
    };
    // Shared memory stays pinned until the response has been sent; private memory does not.
    const prepare = (chunk: Uint8Array) => chunk.buffer instanceof SharedArrayBuffer ? chunk : copies.of(chunk);
    const { body } = chunkStream({ chunks: source.chunks(options.start, options.end), guard, prepare });
    guard.onSlow(() => options.context.abort?.());
    completed.then(() => settle(guard.complete ? "complete" : "aborted"), () => settle("aborted"));
    const headers = { ...options.headers, "content-length": String(options.end - options.start) };
    return new Response(body, { status: options.status, headers });
  }

  #copied(extents: readonly Uint8Array[], options: CopyOptions): Response {
    const { start, end, status, headers } = options;
    if (start === end || end - start > COPY_LIMIT_BYTES) return copiedBody(extents, options);
    const bytes = this.#scratch.subarray(0, end - start);
    copyInto(bytes, extents, start);
    return new Response(bytes, { status, headers });
  }
}
