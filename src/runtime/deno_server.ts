import { DenoConnection, type ServeConnection } from "./deno_connection.ts";
import { Descriptors } from "./descriptors.ts";
import { ENDLESS_PATIENCE_MS, type ServeOptions, type Server } from "./runtime.ts";

interface Conn {
  readonly remoteAddr: { readonly hostname: string };
  setNoDelay(): void;
  close(): void;
}
declare const Deno: {
  /** The name under which Deno keeps what it uses itself. */
  readonly internal: symbol;
  readonly env: { set(name: string, value: string): void };
  listen(options: { readonly hostname: string; readonly port: number; readonly reusePort: boolean }): {
    readonly addr: { readonly hostname: string; readonly port: number };
    accept(): Promise<Conn>;
    close(): void;
  };
};

/** Milliseconds between two looks for idle connections. */
const LOOK_MS = 1000;
/** Milliseconds to wait for a connection to end before the next look. */
const WAIT_MS = 100;
/** Milliseconds that a connection without a request may take to close. */
const CLOSE_MS = 2000;
/** Milliseconds between two reports of a failure to accept. */
const TELL_MS = 60_000;
/** Most connections that are accepted without a look at the descriptors. */
const MOST_UNSEEN = 16;
/** As many threads at most accept at a time: each takes its part of the room unseen. */
const MOST_THREADS = 64;

/**
 * A listener that serves each connection by itself, with the parts that `Deno.serve` is made of: Deno.serve ends for
 * good when an accept fails (denoland/deno#10148), and closes no idle connection (denoland/deno#3515). Served alone,
 * one can be ended without the others. A request costs the same.
 */
export class DenoServer implements Server {
  readonly #options: ServeOptions;
  readonly #listener: ReturnType<typeof Deno.listen>;
  readonly #serve: ServeConnection;
  readonly #descriptors = Descriptors.own();
  readonly #open = new Set<DenoConnection>();
  /** Connections that fit without another look. */
  #unseen = 0;
  readonly #looking: ReturnType<typeof setInterval>;
  #toldMs = -TELL_MS;
  #isStopping = false;
  /** There while somebody waits for a request or a connection to end. */
  #change: PromiseWithResolvers<void> | undefined;

  constructor(options: ServeOptions, serve: ServeConnection) {
    this.#options = options;
    this.#serve = serve;
    const { host, port, reusePort, idleTimeoutSeconds } = options;
    // It would change bytes, length and ETag of what is stored; a connection has no option for it, as Deno.serve has.
    Deno.env.set("DENO_SERVE_AUTOMATIC_COMPRESSION", "0");
    this.#listener = Deno.listen({ hostname: host, port, reusePort });
    this.#looking = setInterval(() => this.#endIdle(idleTimeoutSeconds * 1000), LOOK_MS);
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
    while (this.#inHand() > endlessRequests() && performance.now() < deadlineMs) await this.#somethingEnds();
    const cut = Math.max(0, this.#inHand() - endlessRequests());
    const endlessDeadlineMs = performance.now() + (cut === 0 ? endlessPatienceMs : 0);
    while (this.#inHand() > 0 && performance.now() < endlessDeadlineMs) await this.#somethingEnds();
    for (const connection of this.#open) if (connection.inHand > 0) connection.breakOff();
    // The others are closing: Deno throws where nobody catches it if they are broken off meanwhile.
    const closeDeadlineMs = performance.now() + CLOSE_MS;
    while (this.#open.size > 0 && performance.now() < closeDeadlineMs) await this.#somethingEnds();
    for (const connection of this.#open) connection.breakOff();
    while (this.#open.size > 0) await this.#somethingEnds();
    clearInterval(this.#looking);
    return cut;
  }

  async #accept(): Promise<void> {
    while (!this.#isStopping) {
      try {
        await this.#untilRoom();
        this.#take(await this.#listener.accept());
      } catch (error) {
        if (this.#isStopping) return;
        this.#tell(error);
        await this.#somethingEnds();
      }
    }
  }

  /**
   * Waits while descriptors are low; connections wait in the kernel meanwhile. The one that has been idle longest goes
   * first, as in nginx.
   */
  async #untilRoom(): Promise<void> {
    if (this.#unseen > 0) {
      this.#unseen--;
      return;
    }
    while (!this.#isStopping && this.#descriptors.areLow()) {
      let idlest: DenoConnection | undefined;
      for (const connection of this.#open) {
        if (connection.idleMs() > (idlest?.idleMs() ?? LOOK_MS)) idlest = connection;
      }
      idlest?.breakOff();
      await this.#somethingEnds();
    }
    this.#unseen = Math.min(MOST_UNSEEN, Math.floor((this.#descriptors.room() ?? 0) / MOST_THREADS));
  }

  /** Or some time has passed. */
  async #somethingEnds(): Promise<void> {
    this.#change ??= Promise.withResolvers();
    const timer = setTimeout(this.#change.resolve, WAIT_MS);
    await this.#change.promise;
    this.#change = undefined;
    clearTimeout(timer);
  }

  #take(conn: Conn): void {
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
    void this.#forget(connection);
    if (this.#isStopping) connection.breakOff();
  }

  async #forget(connection: DenoConnection): Promise<void> {
    await connection.ended;
    this.#open.delete(connection);
    this.#onChange();
  }

  #endIdle(idleTimeoutMs: number): void {
    if (idleTimeoutMs === 0) return;
    for (const connection of this.#open) {
      if (connection.idleMs() >= idleTimeoutMs) connection.breakOff();
    }
  }

  #inHand(): number {
    let inHand = 0;
    for (const connection of this.#open) inHand += connection.inHand;
    return inHand;
  }

  #onChange(): void {
    this.#change?.resolve();
    this.#change = undefined;
  }

  #tell(error: unknown): void {
    const nowMs = performance.now();
    if (nowMs - this.#toldMs < TELL_MS) return;
    this.#toldMs = nowMs;
    this.#options.onError(new Error("accept connection: it failed", { cause: error }));
  }
}

/**
 * Deno's function that serves one accepted connection; docs/RUNTIMES.md says why. Undefined where this Deno has none.
 */
export function parseServeConnection(): ServeConnection | undefined {
  const internals: unknown = Reflect.get(Deno, Deno.internal);
  const serve: unknown = typeof internals === "object" && internals !== null
    ? Reflect.get(internals, "serveHttpOnConnection")
    : undefined;
  if (typeof serve !== "function") return undefined;
  // Its shape in 2.9.6, which package.json pins; test/runtime/connections.test.ts uses all of it.
  return (...args) => Reflect.apply(serve, undefined, args);
}
