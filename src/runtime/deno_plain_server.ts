import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { isMainThread } from "node:worker_threads";
import { ENDLESS_PATIENCE_MS, type ServeOptions, type Server } from "./runtime.ts";

declare const Deno: {
  serve(
    options: {
      readonly hostname: string;
      readonly port: number;
      readonly reusePort: boolean;
      readonly automaticCompression: false;
      readonly cert?: string;
      readonly key?: string;
      readonly signal: AbortSignal;
      readonly onListen: () => void;
      readonly onError: (error: unknown) => Response;
    },
    handler: (request: Request, context: Info) => Response | Promise<Response>,
  ): {
    readonly addr: { readonly hostname: string; readonly port: number };
    shutdown(): Promise<void>;
    readonly finished: Promise<void>;
  };
};

interface Info {
  readonly completed?: Promise<void>;
  readonly remoteAddr: { readonly hostname: string };
}

/** Interval at which a stop checks the requests in flight, in milliseconds. */
const STOP_CHECK_MS = 20;

let hasWarned = !isMainThread;

/**
 * A server based on Deno.serve, for a Deno without the internal function that DenoServer needs. It does not close idle
 * connections, and it ends when an accept fails.
 */
export function servePlainly(options: ServeOptions): Server {
  const { endlessRequests = () => 0, endlessPatienceMs = ENDLESS_PATIENCE_MS } = options;
  const abort = new AbortController();
  const requests = { inFlight: 0 };
  let isStopping = false;
  const over = () => {
    requests.inFlight--;
  };
  const server = Deno.serve({
    hostname: options.host,
    port: options.port,
    reusePort: options.reusePort,
    automaticCompression: false,
    ...options.certificate,
    signal: abort.signal,
    onListen() {},
    onError(error) {
      options.onError(error);
      return new Response(null, { status: 500 });
    },
  }, (request, { completed, remoteAddr }) => {
    if (isStopping) return new Response(null, { status: 503, headers: { connection: "close" } });
    requests.inFlight++;
    completed?.then(over, over);
    const addressOf = () => remoteAddr.hostname;
    return options.fetch(request, completed === undefined ? { addressOf } : { completed, addressOf });
  });
  warnOnce();
  return {
    address: { host: server.addr.hostname, port: server.addr.port },
    retire: () => server.shutdown(),
    async stop({ patienceMs = Infinity } = {}) {
      isStopping = true;
      const deadlineMs = performance.now() + patienceMs;
      while (requests.inFlight > endlessRequests() && performance.now() < deadlineMs) await delay(STOP_CHECK_MS);
      const cut = Math.max(0, requests.inFlight - endlessRequests());
      const endlessDeadlineMs = performance.now() + (cut === 0 ? endlessPatienceMs : 0);
      while (requests.inFlight > 0 && performance.now() < endlessDeadlineMs) await delay(STOP_CHECK_MS);
      // Deno's shutdown aborts bodies that are still arriving, and waits for stalled readers.
      if (requests.inFlight > 0) abort.abort();
      else await server.shutdown();
      await server.finished;
      return cut;
    },
  };
}

/** Warns once per process. */
function warnOnce(): void {
  if (hasWarned) return;
  hasWarned = true;
  process.stderr.write(
    "vitrine: this Deno cannot serve connections one by one, so idle ones are not closed (docs/RUNTIMES.md)\n",
  );
}
