import { Descriptors } from "./host.ts";
import {
  type Certificate,
  ENDLESS_PATIENCE_MS,
  type RequestContext,
  type ServeOptions,
  type Server,
} from "./runtime.ts";

interface Conn {
  readonly remoteAddr: { readonly hostname: string };
  /** Undefined with TLS. */
  setNoDelay?(): void;
  close(): void;
}
declare const Deno: {
  /** The key of Deno's internals. */
  readonly internal: symbol;
  readonly env: { set(name: string, value: string): void };
  readonly errors: { readonly BadResource: new () => Error };
  listen(options: ListenOptions): Listener;
  listenTls(options: ListenOptions & Certificate & { readonly alpnProtocols: readonly string[] }): Listener;
};
interface ListenOptions {
  readonly hostname: string;
  readonly port: number;
  readonly reusePort: boolean;
}
interface Listener {
  readonly addr: { readonly hostname: string; readonly port: number };
  accept(): Promise<Conn>;
  close(): void;
}

/** Interval of the check for idle connections, in milliseconds. */
const IDLE_CHECK_MS = 1000;
/** Longest wait for a request or a connection to end, in milliseconds. */
const WAIT_MS = 100;
/** Time in which a connection without requests must close, in milliseconds. */
const CLOSE_MS = 2000;
/** Shortest time between two reports of failed accepts, in milliseconds. */
const REPORT_MS = 60_000;
/** Maximum number of connections accepted between two checks of the descriptors. */
const MAX_UNCHECKED = 16;
/** Maximum number of threads that accept at the same time; they share the descriptors left. */
const MAX_THREADS = 64;

/**
 * A server that accepts connections itself and serves each with the internal function that `Deno.serve` uses, so that
 * one can be closed without the others. `Deno.serve` ends for good when an accept fails (denoland/deno#10148) and
 * closes no idle connections (denoland/deno#3515). The cost of a request is the same.
 */
export class DenoServer implements Server {
  readonly #options: ServeOptions;
  readonly #listener: Listener;
  readonly #serve: ServeConnection;
  readonly #descriptors = Descriptors.own();
  readonly #open = new Set<DenoConnection>();
  /** Number of connections that may be accepted before the next check of the descriptors. */
  #unchecked = 0;
  readonly #idleCheck: ReturnType<typeof setInterval>;
  #reportedMs = -REPORT_MS;
  #isStopping = false;
  #isRetired = false;
  /** Set while somebody waits for a request or a connection to end. */
  #change: PromiseWithResolvers<void> | undefined;

  constructor(options: ServeOptions, serve: ServeConnection) {
    this.#options = options;
    this.#serve = serve;
    const { host, port, reusePort, idleTimeoutSeconds, certificate } = options;
    // Compression would change the bytes, length and ETag of stored objects. Only Deno.serve has an option for it.
    Deno.env.set("DENO_SERVE_AUTOMATIC_COMPRESSION", "0");
    const where = { hostname: host, port, reusePort };
    this.#listener = certificate === undefined
      ? Deno.listen(where)
      : Deno.listenTls({ ...where, ...certificate, alpnProtocols: ["http/1.1"] });
    this.#idleCheck = setInterval(() => this.#closeIdle(idleTimeoutSeconds * 1000), IDLE_CHECK_MS);
    void this.#accept();
  }

  get address(): Server["address"] {
    const { hostname, port } = this.#listener.addr;
    return { host: hostname, port };
  }

  async stop({ patienceMs = Infinity }: Parameters<Server["stop"]>[0] = {}): Promise<number> {
    if (!this.#isStopping) {
      this.#isStopping = true;
      if (!this.#isRetired) this.#listener.close();
      for (const connection of this.#open) connection.endAfterRequests();
    }
    const { endlessRequests = () => 0, endlessPatienceMs = ENDLESS_PATIENCE_MS } = this.#options;
    const deadlineMs = performance.now() + patienceMs;
    while (this.#inFlight() > endlessRequests() && performance.now() < deadlineMs) await this.#somethingEnds();
    const cut = Math.max(0, this.#inFlight() - endlessRequests());
    const endlessDeadlineMs = performance.now() + (cut === 0 ? endlessPatienceMs : 0);
    while (this.#inFlight() > 0 && performance.now() < endlessDeadlineMs) await this.#somethingEnds();
    for (const connection of this.#open) if (connection.inFlight > 0) connection.abort();
    // The others are closing by themselves.
    const closeDeadlineMs = performance.now() + CLOSE_MS;
    while (this.#open.size > 0 && performance.now() < closeDeadlineMs) await this.#somethingEnds();
    for (const connection of this.#open) connection.abort();
    while (this.#open.size > 0) await this.#somethingEnds();
    clearInterval(this.#idleCheck);
    return cut;
  }

  async retire(): Promise<void> {
    this.#isRetired = true;
    this.#listener.close();
    while (this.#open.size > 0) await this.#somethingEnds();
    clearInterval(this.#idleCheck);
  }

  async #accept(): Promise<void> {
    while (!this.#isStopping && !this.#isRetired) {
      try {
        await this.#untilDescriptorsFree();
        this.#add(await this.#listener.accept());
      } catch (error) {
        if (this.#isStopping || this.#isRetired) return;
        this.#report(error);
        await this.#somethingEnds();
      }
    }
  }

  /**
   * Waits while descriptors are low, and closes the connections that have been idle longest, as nginx does. New
   * connections wait in the kernel meanwhile.
   */
  async #untilDescriptorsFree(): Promise<void> {
    if (this.#unchecked > 0) {
      this.#unchecked--;
      return;
    }
    while (!this.#isStopping && !this.#isRetired && this.#descriptors.areLow()) {
      let idlest: DenoConnection | undefined;
      for (const connection of this.#open) {
        if (connection.idleMs() > (idlest?.idleMs() ?? IDLE_CHECK_MS)) idlest = connection;
      }
      idlest?.abort();
      await this.#somethingEnds();
    }
    this.#unchecked = Math.min(MAX_UNCHECKED, Math.floor((this.#descriptors.room() ?? 0) / MAX_THREADS));
  }

  /** Waits until a request or a connection ends, or some time has passed. */
  async #somethingEnds(): Promise<void> {
    this.#change ??= Promise.withResolvers();
    const timer = setTimeout(this.#change.resolve, WAIT_MS);
    await this.#change.promise;
    this.#change = undefined;
    clearTimeout(timer);
  }

  #add(conn: Conn): void {
    const { fetch, onError } = this.#options;
    const connection: DenoConnection = new DenoConnection({
      fetch,
      address: conn.remoteAddr.hostname,
      onRequestOver: () => this.#onChange(),
      serve: (handler, signal) => {
        conn.setNoDelay?.();
        return this.#serve(conn, signal, handler, (error) => {
          onError(error);
          return new Response(null, { status: 500 });
        }, () => {});
      },
    });
    this.#open.add(connection);
    void this.#removeWhenEnded(connection);
    if (this.#isStopping) connection.abort();
  }

  async #removeWhenEnded(connection: DenoConnection): Promise<void> {
    await connection.ended;
    this.#open.delete(connection);
    this.#onChange();
  }

  #closeIdle(idleTimeoutMs: number): void {
    if (idleTimeoutMs === 0) return;
    for (const connection of this.#open) {
      if (connection.idleMs() >= idleTimeoutMs) connection.abort();
    }
  }

  #inFlight(): number {
    let inFlight = 0;
    for (const connection of this.#open) inFlight += connection.inFlight;
    return inFlight;
  }

  #onChange(): void {
    this.#change?.resolve();
    this.#change = undefined;
  }

  #report(error: unknown): void {
    const nowMs = performance.now();
    if (nowMs - this.#reportedMs < REPORT_MS) return;
    this.#reportedMs = nowMs;
    this.#options.onError(new Error("accept connection", { cause: error }));
  }
}

/** Deno's internal function that serves one connection (docs/RUNTIMES.md); undefined if this Deno lacks it. */
export function parseServeConnection(): ServeConnection | undefined {
  const internals: unknown = Reflect.get(Deno, Deno.internal);
  const serve: unknown = typeof internals === "object" && internals !== null
    ? Reflect.get(internals, "serveHttpOnConnection")
    : undefined;
  if (typeof serve !== "function") return undefined;
  // Its signature in 2.9.6, which package.json pins; test/runtime/connections.test.ts covers all of it.
  return (...args) => Reflect.apply(serve, undefined, args);
}

/** Deno's internal function that serves one connection. */
export type ServeConnection = (
  conn: object,
  signal: ConnectionSignal,
  handler: (request: Request, info: RequestContext) => Response | Promise<Response>,
  onError: (error: unknown) => Response,
  onListen: () => void,
) => Served;

interface Served {
  shutdown(): Promise<void>;
  readonly finished: Promise<void>;
}

/**
 * Tells Deno to close a connection. For one that is gone, Deno's listener throws BadResource, which an AbortSignal
 * would report as uncaught: that ends the thread.
 */
class ConnectionSignal {
  #listener = () => {};
  #isAborted = false;

  get isAborted(): boolean {
    return this.#isAborted;
  }

  addEventListener(_type: "abort", listener: () => void): void {
    this.#listener = listener;
  }

  abort(): void {
    this.#isAborted = true;
    try {
      this.#listener();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }
}

/** Time in which a request may still arrive on a connection that is about to close, in milliseconds. */
const LATE_REQUEST_MS = 200;

/** One connection: counts its requests in flight, and measures how long it has been waiting for its client. */
export class DenoConnection {
  /** Settles when the connection is closed. */
  readonly ended: Promise<void>;
  readonly #served: Served;
  readonly #signal = new ConnectionSignal();
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
    readonly serve: (handler: Parameters<ServeConnection>[2], signal: ConnectionSignal) => Served;
  }) {
    const waitsForBody = (waits: boolean) => {
      this.#waitingForBodies += waits ? 1 : -1;
      this.#idleSinceMs = undefined;
    };
    const addressOf = () => address;
    const abort = () => this.abort();
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
        completed === undefined ? { waitsForBody, addressOf, abort } : { completed, waitsForBody, addressOf, abort },
      );
    }, this.#signal);
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
    if (this.#waitingForBodies < this.#inFlight || this.#signal.isAborted) return 0;
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

  /** Closes the connection now, unless it is gone. */
  abort(): void {
    this.#signal.abort();
  }
}
