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

/** Milliseconds between two looks of a stop at the requests in hand. */
const LOOK_MS = 20;

let isTold = !isMainThread;

/**
 * Deno.serve, for a Deno that does not serve connections one by one: idle connections are not closed, and an accept
 * that fails ends it.
 */
export function servePlainly(options: ServeOptions): Server {
  const { endlessRequests = () => 0, endlessPatienceMs = ENDLESS_PATIENCE_MS } = options;
  const abort = new AbortController();
  const requests = { inHand: 0 };
  let isStopping = false;
  const over = () => {
    requests.inHand--;
  };
  const server = Deno.serve({
    hostname: options.host,
    port: options.port,
    reusePort: options.reusePort,
    automaticCompression: false,
    signal: abort.signal,
    onListen() {},
    onError(error) {
      options.onError(error);
      return new Response(null, { status: 500 });
    },
  }, (request, { completed, remoteAddr }) => {
    if (isStopping) return new Response(null, { status: 503, headers: { connection: "close" } });
    requests.inHand++;
    completed?.then(over, over);
    const addressOf = () => remoteAddr.hostname;
    return options.fetch(request, completed === undefined ? { addressOf } : { completed, addressOf });
  });
  tell();
  return {
    address: { host: server.addr.hostname, port: server.addr.port },
    async stop({ patienceMs = Infinity } = {}) {
      isStopping = true;
      const deadlineMs = performance.now() + patienceMs;
      while (requests.inHand > endlessRequests() && performance.now() < deadlineMs) await delay(LOOK_MS);
      const cut = Math.max(0, requests.inHand - endlessRequests());
      const endlessDeadlineMs = performance.now() + (cut === 0 ? endlessPatienceMs : 0);
      while (requests.inHand > 0 && performance.now() < endlessDeadlineMs) await delay(LOOK_MS);
      // Deno's shutdown breaks off bodies that are still arriving, and waits for readers that stall.
      if (requests.inHand > 0) abort.abort();
      else await server.shutdown();
      await server.finished;
      return cut;
    },
  };
}

/** Once for the process. */
function tell(): void {
  if (isTold) return;
  isTold = true;
  process.stderr.write(
    "vitrine: this Deno does not serve connections one by one: idle ones are not closed (docs/RUNTIMES.md)\n",
  );
}
