import type { RequestContext, ServeOptions } from "./runtime.ts";

/** Deno's internal function that serves one connection. */
export type ServeConnection = (
  conn: object,
  signal: AbortSignal,
  handler: (request: Request, info: RequestContext) => Response | Promise<Response>,
  onError: (error: unknown) => Response,
  onListen: () => void,
) => Served;

interface Served {
  shutdown(): Promise<void>;
  readonly finished: Promise<void>;
}

/** Time in which a request may still arrive on a connection that is about to close, in milliseconds. */
const LATE_REQUEST_MS = 200;

/** One connection: counts its requests in flight, and measures how long it has been waiting for its client. */
export class DenoConnection {
  /** Settles when the connection is closed. */
  readonly ended: Promise<void>;
  readonly #served: Served;
  readonly #abortController = new AbortController();
  #inFlight = 0;
  #waitingForBodies = 0;
  /** Start of the idle time; set only when somebody asks for it, so that requests need not read the clock. */
  #idleSinceMs: number | undefined;
  #endsAfterRequests = false;

  constructor({ fetch, address, onRequestOver, serve }: {
    readonly fetch: ServeOptions["fetch"];
    /** The address of the client. */
    readonly address: string;
    readonly onRequestOver: () => void;
    readonly serve: (handler: Parameters<ServeConnection>[2], signal: AbortSignal) => Served;
  }) {
    const waitsForBody = (waits: boolean) => {
      this.#waitingForBodies += waits ? 1 : -1;
      this.#idleSinceMs = undefined;
    };
    const addressOf = () => address;
    const over = () => {
      this.#inFlight--;
      this.#idleSinceMs = undefined;
      if (this.#endsAfterRequests) this.endAfterRequests();
      onRequestOver();
    };
    this.#served = serve((request, { completed }) => {
      this.#inFlight++;
      completed?.then(over, over);
      if (this.#endsAfterRequests) return new Response(null, { status: 503, headers: { connection: "close" } });
      return fetch(
        request,
        completed === undefined ? { waitsForBody, addressOf } : { completed, waitsForBody, addressOf },
      );
    }, this.#abortController.signal);
    this.ended = this.#served.finished.catch(() => {});
  }

  /** Number of requests whose response has not been sent completely. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /**
   * Milliseconds since the first call during which the connection has only waited for its client: for a request or the
   * rest of a body. 0 while the server has work to do.
   */
  idleMs(): number {
    if (this.#waitingForBodies < this.#inFlight || this.#abortController.signal.aborted) return 0;
    this.#idleSinceMs ??= performance.now();
    return performance.now() - this.#idleSinceMs;
  }

  /**
   * Closes the connection once no request is in flight, because Deno's shutdown aborts bodies that are still arriving.
   * A request that arrives meanwhile gets a 503 rather than a connection that closes under it.
   */
  endAfterRequests(): void {
    this.#endsAfterRequests = true;
    setTimeout(() => {
      if (this.#inFlight === 0) void this.#served.shutdown().catch(() => {});
    }, LATE_REQUEST_MS);
  }

  /** Closes the connection now. */
  abort(): void {
    this.#abortController.abort();
  }
}
