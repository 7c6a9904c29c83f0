import { ChunkCopies, chunkStream, CopyingSender, smallBody, SourceGuard } from "./sender.ts";
import { servePlainly } from "./deno_plain_server.ts";
import { DenoServer, parseServeConnection } from "./deno_server.ts";
import type { ByteSource, Runtime, Sender, SenderOptions, SendOptions, ServeOptions, Server } from "./runtime.ts";

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
 * Frees the memory of a chunk at once, because such buffers pile up outside V8 as garbage. Deno holds the bytes that it
 * has yet to send itself.
 */
function free(chunk: Uint8Array): void {
  const { buffer } = chunk;
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}

/**
 * Streams views of the source's memory. Deno reads them until `completed` settles, so the source is released only then.
 * Deno cannot close the connection of a stalled reader; therefore the memory that responses pin is limited, and beyond
 * the limit bodies are copied.
 */
class DenoSender implements Sender {
  readonly copyLimitBytes = COPY_LIMIT_BYTES;
  readonly #copying: Sender;
  readonly #pinnedLimitBytes: number;
  #pinnedBytes = 0;

  constructor(options: SenderOptions) {
    this.#copying = new CopyingSender({ ...options, copyLimitBytes: COPY_LIMIT_BYTES, free });
    this.#pinnedLimitBytes = options.pinnedLimitBytes ?? DEFAULT_PINNED_LIMIT_BYTES;
  }

  send(source: ByteSource, options: SendOptions): Response {
    const small = smallBody(source, options, COPY_LIMIT_BYTES);
    if (small !== undefined) return small;
    const { completed } = options.context;
    if (completed === undefined || this.#pinnedBytes + options.pinnedBytes > this.#pinnedLimitBytes) {
      return this.#copying.send(source, options);
    }
    this.#pinnedBytes += options.pinnedBytes;
    const guard = new SourceGuard(source, options);
    const copies = new ChunkCopies(free);
    const settle = (outcome: "complete" | "aborted") => {
      this.#pinnedBytes -= options.pinnedBytes;
      copies.free();
      guard.settle(outcome);
    };
    // Shared memory stays pinned until the response has been sent; private memory does not.
    const prepare = (chunk: Uint8Array) => chunk.buffer instanceof SharedArrayBuffer ? chunk : copies.of(chunk);
    const { body } = chunkStream(source, options, { guard, prepare });
    completed.then(() => settle(guard.complete ? "complete" : "aborted"), () => settle("aborted"));
    const headers = { ...options.headers, "content-length": String(options.end - options.start) };
    return new Response(body, { status: options.status, headers });
  }
}
