import type { RequestContext, ServeOptions } from "./runtime.ts";

/** Deno's function that serves one connection. */
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

/** Milliseconds that a request may be on its way to a connection that is about to close. */
const ON_ITS_WAY_MS = 200;

/**
 * One connection: which requests it has in hand, and how long nothing has been going on in it but waiting for its
 * client.
 */
export class DenoConnection {
  /** Settles when it is closed. */
  readonly ended: Promise<void>;
  readonly #served: Served;
  readonly #abort = new AbortController();
  #inHand = 0;
  #waitingForBodies = 0;
  /** Since when it has been idle; undefined until somebody asks: a request need not read the clock. */
  #sinceMs: number | undefined;
  #endsAfterRequests = false;

  constructor({ fetch, address, onRequestOver, serve }: {
    readonly fetch: ServeOptions["fetch"];
    /** Of its other end. */
    readonly address: string;
    readonly onRequestOver: () => void;
    readonly serve: (handler: Parameters<ServeConnection>[2], signal: AbortSignal) => Served;
  }) {
    const waitsForBody = (waits: boolean) => {
      this.#waitingForBodies += waits ? 1 : -1;
      this.#sinceMs = undefined;
    };
    const addressOf = () => address;
    const over = () => {
      this.#inHand--;
      this.#sinceMs = undefined;
      if (this.#endsAfterRequests) this.endAfterRequests();
      onRequestOver();
    };
    this.#served = serve((request, { completed }) => {
      this.#inHand++;
      completed?.then(over, over);
      if (this.#endsAfterRequests) return new Response(null, { status: 503, headers: { connection: "close" } });
      return fetch(
        request,
        completed === undefined ? { waitsForBody, addressOf } : { completed, waitsForBody, addressOf },
      );
    }, this.#abort.signal);
    this.ended = this.#served.finished.catch(() => {});
  }

  /** Requests whose response has not left. */
  get inHand(): number {
    return this.#inHand;
  }

  /**
   * Milliseconds, from the first look on, for which all that is missing should have come from the client: a request, or
   * the rest of its body. 0 while the server has something to do.
   */
  idleMs(): number {
    if (this.#waitingForBodies < this.#inHand || this.#abort.signal.aborted) return 0;
    this.#sinceMs ??= performance.now();
    return performance.now() - this.#sinceMs;
  }

  /**
   * Closes it when no request is in hand: Deno's shutdown breaks off bodies that are still arriving. A request that is
   * on its way meanwhile gets a 503 that says so, not a connection that closes under it.
   */
  endAfterRequests(): void {
    this.#endsAfterRequests = true;
    setTimeout(() => {
      if (this.#inHand === 0) void this.#served.shutdown().catch(() => {});
    }, ON_ITS_WAY_MS);
  }

  /** Closes it now. */
  breakOff(): void {
    this.#abort.abort();
  }
}
