import { setTimeout as delay } from "node:timers/promises";
import { chunkStream } from "./chunk_stream.ts";
import { CopyingSender } from "./copying_sender.ts";
import { ENDLESS_PATIENCE_MS } from "./endless.ts";
import { Hold } from "./hold.ts";
import { smallBody } from "./small_body.ts";
import type { ByteSource, RequestContext, Runtime, Sender, SenderOptions, SendOptions, ServeOptions } from "./types.ts";
import type { Server } from "./types.ts";

declare const Deno: {
  readonly version: { readonly deno: string };
  serve(
    options: {
      readonly hostname: string;
      readonly port: number;
      readonly reusePort: boolean;
      readonly automaticCompression: boolean;
      readonly signal: AbortSignal;
      readonly onListen: () => void;
      readonly onError: (error: unknown) => Response;
    },
    handler: (request: Request, context: RequestContext) => Response | Promise<Response>,
  ): {
    readonly addr: { readonly hostname: string; readonly port: number };
    shutdown(): Promise<void>;
    readonly finished: Promise<void>;
  };
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

const discard = collector();

/** V8 lets the buffers of a stream pile up too; told to (`--v8-flags=--expose-gc`, as `deno task start` does), it collects them. */
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

/** Deno's shutdown breaks off request bodies that are still arriving; so it comes only when no request is in hand, and new ones are sent away. */
function serve(options: ServeOptions): Server {
  const { endlessRequests = () => 0, endlessPatienceMs = ENDLESS_PATIENCE_MS } = options;
  const abort = new AbortController();
  let inHand = 0;
  let stopping:
    | { readonly onlyEndless: PromiseWithResolvers<void>; readonly none: PromiseWithResolvers<void> }
    | undefined;
  const look = () => {
    if (inHand <= endlessRequests()) stopping?.onlyEndless.resolve();
    if (inHand === 0) stopping?.none.resolve();
  };
  const over = () => {
    inHand--;
    look();
  };
  const server = Deno.serve({
    hostname: options.host,
    port: options.port,
    reusePort: options.reusePort,
    // It would change bytes, length and ETag of what is stored.
    automaticCompression: false,
    signal: abort.signal,
    onListen() {},
    onError(error) {
      options.onError(error);
      return new Response(null, { status: 500 });
    },
  }, (request, context) => {
    if (stopping !== undefined) return new Response(null, { status: 503, headers: { connection: "close" } });
    inHand++;
    context.completed?.then(over, over);
    return options.fetch(request, context);
  });
  return {
    address: { host: server.addr.hostname, port: server.addr.port },
    async stop({ patienceMs = Infinity } = {}) {
      stopping ??= { onlyEndless: Promise.withResolvers(), none: Promise.withResolvers() };
      look();
      await within(patienceMs, stopping.onlyEndless.promise);
      const cut = Math.max(0, inHand - endlessRequests());
      if (inHand > 0 && cut === 0) await within(endlessPatienceMs, stopping.none.promise);
      // Deno ends a single stalled response in no way (docs/RUNTIMES.md), but all of them.
      if (inHand > 0) abort.abort();
      else await server.shutdown();
      await server.finished;
      return cut;
    },
  };
}

/** Resolves with the promise, or when the time is over. */
async function within(timeoutMs: number, promise: Promise<void>): Promise<void> {
  if (timeoutMs === Infinity) return await promise;
  const over = new AbortController();
  const late = delay(timeoutMs, undefined, { signal: over.signal }).catch(() => undefined);
  await Promise.race([promise, late]);
  over.abort();
}

/** Memory that Deno may read until the response has left: shared memory is pinned until then, private memory is not. */
function stable(chunk: Uint8Array): Uint8Array {
  if (chunk.buffer instanceof SharedArrayBuffer) return chunk;
  discard(chunk.byteLength);
  return chunk.slice();
}

/**
 * Streams views over the source's own memory, which Deno reads until `completed` settles: only then is the source released. Deno cannot close
 * the connection of a reader that stalls, so what such readers pin is limited; beyond it, bodies are copied.
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
