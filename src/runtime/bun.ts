import { setTimeout as delay } from "node:timers/promises";
import { afterBody, exactRoutes, isRewritten, isRewrittenOffRoute, type RoutedRequest } from "./bun_requests.ts";
import { BunSender } from "./bun_sender.ts";
import { Descriptors } from "./host.ts";
import { free } from "./sender.ts";
import {
  type Certificate,
  ENDLESS_PATIENCE_MS,
  type ExactPaths,
  type Runtime,
  type ServeOptions,
  type Server,
} from "./runtime.ts";

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
    readonly tls?: Certificate;
    readonly routes: ReturnType<typeof exactRoutes>;
    readonly fetch: (request: Request) => Response | Promise<Response>;
    readonly error: (error: unknown) => Response;
  }): BunServer;
};
interface BunServer {
  readonly hostname: string;
  readonly port: number;
  /** Number of requests whose responses have not been sent completely. */
  readonly pendingRequests: number;
  requestIP(request: Request): { readonly address: string } | null;
  stop(closeActiveConnections?: boolean): Promise<void>;
  closeIdleConnections(): number;
}

/** Interval of the check for low descriptors, which is needed because Bun accepts connections until none is left. */
const DESCRIPTOR_CHECK_MS = 250;
/** Interval at which a stop checks whether only endless responses are left. */
const STOP_CHECK_MS = 50;

/**
 * A collection is forced after this many bytes of discarded chunks. JavaScriptCore counts the arena as heap and would
 * let garbage grow in proportion to it (docs/RUNTIMES.md).
 */
const COLLECT_BYTES = 16 * 1024 * 1024;
/** The first part of a body does not count: for small bodies a collection would take longer than the request. */
const LARGE_BODY_BYTES = 4 * 1024 * 1024;

/** The Runtime for Bun. */
export function bunRuntime(): Runtime {
  return {
    name: "bun",
    version: Bun.version,
    stopsThreads: true,
    serve,
    createSender: (options) => new BunSender(options, collect),
    discard,
  };
}

const collect = collector();

/** Frees a chunk of a request's body. */
const discard: Runtime["discard"] = (chunk, bodyBytes) => {
  collect(chunk, bodyBytes);
  free(chunk);
};

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
  const routed = (paths: ExactPaths) => (request: RoutedRequest) => answer(request, isRewritten(request, paths));
  const server: BunServer = Bun.serve({
    hostname: options.host,
    port: options.port,
    reusePort: options.reusePort,
    idleTimeout: Math.min(255, options.idleTimeoutSeconds),
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    development: false,
    ...(options.certificate === undefined ? {} : { tls: options.certificate }),
    routes: exactPaths === undefined ? {} : exactRoutes(exactPaths, routed(exactPaths)),
    fetch: (request) => {
      const isResolved = exactPaths !== undefined && request.method !== "GET" &&
        isRewrittenOffRoute(request, exactPaths);
      return answer(request, isResolved);
    },
    error(error) {
      options.onError(error);
      return new Response(null, { status: 500 });
    },
  });
  const descriptors = Descriptors.own();
  const descriptorCheck = setInterval(() => {
    if (descriptors.areLow()) server.closeIdleConnections();
  }, DESCRIPTOR_CHECK_MS);
  return {
    address: { host: server.hostname, port: server.port },
    async retire() {
      await server.stop();
      clearInterval(descriptorCheck);
    },
    async stop({ patienceMs = Infinity } = {}) {
      const cut = await stop(server, options, patienceMs);
      clearInterval(descriptorCheck);
      return cut;
    },
  };
}

/**
 * Stops the server. Bun waits for every reader, so the end is forced at the deadline, or earlier if only endless
 * responses are left.
 */
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
      endlessLeftMs -= STOP_CHECK_MS;
    }
    await (stop.isOver ? delay(STOP_CHECK_MS) : Promise.race([over, delay(STOP_CHECK_MS)]));
  }
  return 0;
}

async function finish(server: BunServer, stop: { isOver: boolean }): Promise<void> {
  await server.stop();
  stop.isOver = true;
}
