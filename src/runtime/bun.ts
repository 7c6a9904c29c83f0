import { setTimeout as delay } from "node:timers/promises";
import { exactRoutes, isRoutedElsewhere, isStrayed, type RoutedRequest } from "./bun_routes.ts";
import { Descriptors } from "./descriptors.ts";
import {
  type ByteSource,
  ENDLESS_PATIENCE_MS,
  type ExactPaths,
  type Runtime,
  type Sender,
  type SendOptions,
  type ServeOptions,
  type Server,
} from "./runtime.ts";
import { Hold, smallBody } from "./sender.ts";
import { afterBody } from "./linger.ts";

interface DirectController {
  /** Copies; a promise under back-pressure, which resolves also when the client has gone. */
  write(chunk: Uint8Array): number | Promise<number>;
  end(): number | Promise<number>;
}
declare const ReadableStream: new (source: {
  readonly type: "direct";
  pull(controller: DirectController): Promise<void>;
  cancel(): void;
}) => ReadableStream<Uint8Array<ArrayBuffer>>;
declare const Bun: {
  readonly version: string;
  gc(force: boolean): void;
  serve(options: {
    readonly hostname: string;
    readonly port: number;
    readonly reusePort: boolean;
    readonly idleTimeout: number;
    readonly maxRequestBodySize: number;
    readonly development: false;
    readonly routes: ReturnType<typeof exactRoutes>;
    readonly fetch: (request: Request) => Response | Promise<Response>;
    readonly error: (error: unknown) => Response;
  }): BunServer;
};
interface BunServer {
  readonly hostname: string;
  readonly port: number;
  /** Whose responses have not left. */
  readonly pendingRequests: number;
  requestIP(request: Request): { readonly address: string } | null;
  stop(closeActiveConnections?: boolean): Promise<void>;
  closeIdleConnections(): number;
}

/** Measured: below, one copy into a buffer is faster than a stream (docs/RUNTIMES.md). */
const COPY_LIMIT_BYTES = 64 * 1024;
/** How often is looked whether connections have taken descriptors that others need: Bun accepts until none is left. */
const ROOM_MS = 250;
/** How often a stop looks whether only endless responses are left. */
const LOOK_MS = 50;

/**
 * JavaScriptCore counts the arena as heap and lets garbage grow in proportion to it (docs/RUNTIMES.md): so often it is
 * made to collect.
 */
const COLLECT_BYTES = 16 * 1024 * 1024;
/** What comes beyond this much of one body counts: collecting takes longer than a small body. */
const LARGE_BODY_BYTES = 4 * 1024 * 1024;

/** Bun's side of what differs between the runtimes. */
export function bunRuntime(): Runtime {
  return {
    name: "bun",
    version: Bun.version,
    stopsThreads: true,
    serve,
    createSender: () => SENDER,
    discard,
  };
}

const discard = collector();

function collector(): Runtime["discard"] {
  let discarded = 0;
  return (chunk, bodyBytes) => {
    if (bodyBytes <= LARGE_BODY_BYTES) return;
    discarded += chunk.byteLength;
    if (discarded < COLLECT_BYTES) return;
    discarded = 0;
    Bun.gc(true);
  };
}

function serve(options: ServeOptions): Server {
  const { exactPaths } = options;
  const context = { addressOf: (request: Request) => server.requestIP(request)?.address ?? "" };
  const resolved = { ...context, isResolved: true } as const;
  const answer = (request: Request, isResolved: boolean) =>
    afterBody(request, options.fetch(request, isResolved ? resolved : context), { discard });
  const byRoute = (paths: ExactPaths) => (request: RoutedRequest) => answer(request, isRoutedElsewhere(request, paths));
  const server: BunServer = Bun.serve({
    hostname: options.host,
    port: options.port,
    reusePort: options.reusePort,
    idleTimeout: Math.min(255, options.idleTimeoutSeconds),
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    development: false,
    routes: exactPaths === undefined ? {} : exactRoutes(exactPaths, byRoute(exactPaths)),
    fetch: (request) => {
      const isResolved = exactPaths !== undefined && request.method !== "GET" && isStrayed(request, exactPaths);
      return answer(request, isResolved);
    },
    error(error) {
      options.onError(error);
      return new Response(null, { status: 500 });
    },
  });
  const descriptors = Descriptors.own();
  const room = setInterval(() => {
    if (descriptors.areLow()) server.closeIdleConnections();
  }, ROOM_MS);
  return {
    address: { host: server.hostname, port: server.port },
    async stop({ patienceMs = Infinity } = {}) {
      const cut = await stop(server, options, patienceMs);
      clearInterval(room);
      return cut;
    },
  };
}

/** Bun waits for every reader; so it is told after a while not to: sooner where only endless responses are left. */
async function stop(server: BunServer, options: ServeOptions, patienceMs: number): Promise<number> {
  const { endlessRequests = () => 0, endlessPatienceMs = ENDLESS_PATIENCE_MS } = options;
  const deadlineMs = performance.now() + patienceMs;
  const stop = { isOver: false };
  const over = finish(server, stop);
  let endlessLeftMs = endlessPatienceMs;
  while (!stop.isOver || endlessRequests() > 0) {
    const endless = endlessRequests();
    if (performance.now() >= deadlineMs) {
      const cut = Math.max(0, server.pendingRequests - endless);
      await server.stop(true);
      return cut;
    }
    if (endless > 0 && server.pendingRequests <= endless) {
      if (endlessLeftMs <= 0) await server.stop(true);
      endlessLeftMs -= LOOK_MS;
    }
    await (stop.isOver ? delay(LOOK_MS) : Promise.race([over, delay(LOOK_MS)]));
  }
  return 0;
}

async function finish(server: BunServer, stop: { isOver: boolean }): Promise<void> {
  await server.stop();
  stop.isOver = true;
}

const SENDER: Sender = {
  copyLimitBytes: COPY_LIMIT_BYTES,
  send: (source, options) => smallBody(source, options, COPY_LIMIT_BYTES) ?? stream(source, options),
};

/**
 * A direct stream copies inside `write`, so the hold ends with the last write. Bun drops Content-Length and frames the
 * body as chunked.
 */
function stream(source: ByteSource, options: SendOptions): Response {
  const hold = new Hold(source, options);
  let started = false;
  let gone = false;
  const body = new ReadableStream({
    type: "direct",
    async pull(controller) {
      started = true;
      try {
        for await (const chunk of source.chunks(options.start, options.end)) {
          await controller.write(chunk);
          if (gone) return;
          hold.sent(chunk.byteLength);
        }
        hold.assertComplete();
        await controller.end();
        if (!gone) hold.settle("complete");
      } finally {
        hold.settle("aborted");
      }
    },
    cancel() {
      gone = true;
      if (!started) hold.settle("aborted");
    },
  });
  const headers = { ...options.headers, "content-length": String(options.end - options.start) };
  return new Response(body, { status: options.status, headers });
}
