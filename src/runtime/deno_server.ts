import { DenoConnection, type ServeConnection } from "./deno_connection.ts";
import { Descriptors } from "./descriptors.ts";
import { ENDLESS_PATIENCE_MS, type ServeOptions, type Server } from "./runtime.ts";

interface Conn {
  readonly remoteAddr: { readonly hostname: string };
  setNoDelay(): void;
  close(): void;
}
declare const Deno: {
  /** The key of Deno's internals. */
  readonly internal: symbol;
  readonly env: { set(name: string, value: string): void };
  listen(options: { readonly hostname: string; readonly port: number; readonly reusePort: boolean }): {
    readonly addr: { readonly hostname: string; readonly port: number };
    accept(): Promise<Conn>;
    close(): void;
  };
};

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
  readonly #listener: ReturnType<typeof Deno.listen>;
  readonly #serve: ServeConnection;
  readonly #descriptors = Descriptors.own();
  readonly #open = new Set<DenoConnection>();
  /** Number of connections that may be accepted before the next check of the descriptors. */
  #unchecked = 0;
  readonly #idleCheck: ReturnType<typeof setInterval>;
  #reportedMs = -REPORT_MS;
  #isStopping = false;
  /** Set while somebody waits for a request or a connection to end. */
  #change: PromiseWithResolvers<void> | undefined;

  constructor(options: ServeOptions, serve: ServeConnection) {
    this.#options = options;
    this.#serve = serve;
    const { host, port, reusePort, idleTimeoutSeconds } = options;
    // Compression would change the bytes, length and ETag of stored objects. Only Deno.serve has an option for it.
    Deno.env.set("DENO_SERVE_AUTOMATIC_COMPRESSION", "0");
    this.#listener = Deno.listen({ hostname: host, port, reusePort });
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
      this.#listener.close();
      for (const connection of this.#open) connection.endAfterRequests();
    }
    const { endlessRequests = () => 0, endlessPatienceMs = ENDLESS_PATIENCE_MS } = this.#options;
    const deadlineMs = performance.now() + patienceMs;
    while (this.#inFlight() > endlessRequests() && performance.now() < deadlineMs) await this.#somethingEnds();
    const cut = Math.max(0, this.#inFlight() - endlessRequests());
    const endlessDeadlineMs = performance.now() + (cut === 0 ? endlessPatienceMs : 0);
    while (this.#inFlight() > 0 && performance.now() < endlessDeadlineMs) await this.#somethingEnds();
    for (const connection of this.#open) if (connection.inFlight > 0) connection.abort();
    // The others are closing. Aborting them meanwhile makes Deno throw an error that nobody can catch.
    const closeDeadlineMs = performance.now() + CLOSE_MS;
    while (this.#open.size > 0 && performance.now() < closeDeadlineMs) await this.#somethingEnds();
    for (const connection of this.#open) connection.abort();
    while (this.#open.size > 0) await this.#somethingEnds();
    clearInterval(this.#idleCheck);
    return cut;
  }

  async #accept(): Promise<void> {
    while (!this.#isStopping) {
      try {
        await this.#untilDescriptorsFree();
        this.#add(await this.#listener.accept());
      } catch (error) {
        if (this.#isStopping) return;
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
    while (!this.#isStopping && this.#descriptors.areLow()) {
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
        conn.setNoDelay();
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
