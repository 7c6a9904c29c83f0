import { chunkStream, Copies, CopyingSender, Hold, smallBody } from "./sender.ts";
import { servePlainly } from "./deno_plain_server.ts";
import { DenoServer, parseServeConnection } from "./deno_server.ts";
import type { ByteSource, Runtime, Sender, SenderOptions, SendOptions, ServeOptions, Server } from "./runtime.ts";

declare const Deno: {
  readonly version: { readonly deno: string };
};

/** Measured: below, one copy into a buffer is faster than a stream (docs/RUNTIMES.md). */
const COPY_LIMIT_BYTES = 32 * 1024;
const DEFAULT_PINNED_LIMIT_BYTES = 256 * 1024 * 1024;

/** Deno's side of what differs between the runtimes. */
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
 * Gives the memory of a chunk back at once: as garbage, such buffers pile up outside V8. Bytes that Deno has yet to
 * send it holds itself.
 */
function free(chunk: Uint8Array): void {
  const { buffer } = chunk;
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}

/**
 * Streams views over the source's own memory, which Deno reads until `completed` settles: only then is the source
 * released. Deno cannot close the connection of a reader that stalls, so what such readers pin is limited; beyond it,
 * bodies are copied.
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
    const hold = new Hold(source, options);
    const copies = new Copies(free);
    const settle = (outcome: "complete" | "aborted") => {
      this.#pinnedBytes -= options.pinnedBytes;
      copies.free();
      hold.settle(outcome);
    };
    // Shared memory is pinned until the response has left, private memory is not.
    const prepare = (chunk: Uint8Array) => chunk.buffer instanceof SharedArrayBuffer ? chunk : copies.of(chunk);
    const { body } = chunkStream(source, options, { hold, prepare });
    completed.then(() => settle(hold.complete ? "complete" : "aborted"), () => settle("aborted"));
    const headers = { ...options.headers, "content-length": String(options.end - options.start) };
    return new Response(body, { status: options.status, headers });
  }
}
