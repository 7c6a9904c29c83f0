import { chunkStream } from "./chunk_stream.ts";
import { CopyingSender } from "./copying_sender.ts";
import { servePlainly } from "./deno_plain_server.ts";
import { DenoServer, parseServeConnection } from "./deno_server.ts";
import { Hold } from "./hold.ts";
import { smallBody } from "./small_body.ts";
import type { ByteSource, Runtime, Sender, SenderOptions, SendOptions, ServeOptions, Server } from "./types.ts";

declare const Deno: {
  readonly version: { readonly deno: string };
};

/** Measured: below, one copy into a buffer is faster than a stream (docs/RUNTIMES.md). */
const COPY_LIMIT_BYTES = 32 * 1024;
const COLLECT_BYTES = 32 * 1024 * 1024;
const DEFAULT_PINNED_LIMIT_BYTES = 256 * 1024 * 1024;

/** Deno's side of what differs between the runtimes. */
export const denoRuntime = (): Runtime => ({
  name: "deno",
  version: Deno.version.deno,
  stopsThreads: false,
  serve,
  createSender: (options) => new DenoSender(options),
  discard: (bytes) => discard(bytes),
});

function serve(options: ServeOptions): Server {
  const serveConnection = parseServeConnection();
  return serveConnection === undefined ? servePlainly(options) : new DenoServer(options, serveConnection);
}

const discard = collector();

/**
 * V8 lets the buffers of a stream pile up too; told to (`--v8-flags=--expose-gc`, as `deno task start` does), it
 * collects them.
 */
function collector(): (bytes: number) => void {
  const gc: unknown = Reflect.get(globalThis, "gc");
  let discarded = 0;
  return (bytes) => {
    discarded += bytes;
    if (discarded < COLLECT_BYTES) return;
    discarded = 0;
    if (typeof gc === "function") Reflect.apply(gc, undefined, [{ type: "major", execution: "sync" }]);
  };
}

/** Memory that Deno may read until the response has left: shared memory is pinned until then, private memory is not. */
function stable(chunk: Uint8Array): Uint8Array {
  if (chunk.buffer instanceof SharedArrayBuffer) return chunk;
  discard(chunk.byteLength);
  return chunk.slice();
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
    this.#copying = new CopyingSender({ ...options, copyLimitBytes: COPY_LIMIT_BYTES });
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
    const settle = (outcome: "complete" | "aborted") => {
      this.#pinnedBytes -= options.pinnedBytes;
      hold.settle(outcome);
    };
    const { body } = chunkStream(source, options, { hold, prepare: stable });
    completed.then(() => settle(hold.complete ? "complete" : "aborted"), () => settle("aborted"));
    const headers = { ...options.headers, "content-length": String(options.end - options.start) };
    return new Response(body, { status: options.status, headers });
  }
}
