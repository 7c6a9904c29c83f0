import type { ClientAddress } from "../src/access/client_address.ts";
import type { Visit } from "../src/access/limits.ts";
import { type Grant, OPEN_GRANT } from "../src/access/tokens.ts";
import type { Clock } from "../src/core/clock.ts";
import type { ErrorCode } from "../src/core/errors.ts";
import {
  formatTraceParent,
  type MissReason,
  parseTraceParent,
  type Publish,
  type TracedRequest,
  type TraceRequest,
} from "../src/core/events.ts";
import type { EventMap } from "../src/events/catalogue.ts";
import type { LookupListener } from "../src/storage/storage.ts";
import type { RequestContext } from "./app_options.ts";
import { encodedKey } from "./http/target.ts";

const KNOWN_METHODS = new Set(["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"]);

/** Server-Timing names no further tiers once it has this many characters. */
const MAX_TIER_TIMES = 1024;

/** A VitrineError, or an object of its shape where throwing would cost too much, as for a miss. */
export interface Refusal {
  readonly code: ErrorCode | "internal_error";
  readonly message: string;
  readonly details?: Readonly<Record<string, string | number>>;
}

/** Shared by all exchanges of an app. */
interface Shared {
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** Finds the addresses of clients behind proxies; default: those of the sockets. */
  readonly clientAddress?: ClientAddress | undefined;
  /** Called once for each exchange, when it is over. */
  readonly onOver: () => void;
  /** Called with 1 when a body without an end of its own begins, and with -1 when it is over. */
  readonly onEndless: (change: 1 | -1) => void;
}

/** A request that has just arrived. */
interface Arrival {
  readonly method: string;
  /** Its route's name, under which it is counted. */
  readonly route: string;
  /** The path as it was sent, percent-encoded. */
  readonly path: string;
  readonly context: RequestContext;
  /** Set if its events carry details. */
  readonly followed?: TracedRequest | undefined;
}

/**
 * One request and its response, from the arrival of the one until the other has left: publishes their two events and
 * counts what the second one reports.
 */
export class Exchange implements LookupListener {
  readonly method: string;
  readonly route: string;
  readonly path: string;
  readonly context: RequestContext;
  readonly #followed: TracedRequest | undefined;
  readonly #shared: Shared;
  readonly #startMs: number;
  /** Milliseconds from the start to the first call of elapsedMs. */
  #elapsedMs: number | undefined;
  #headersMs = 0;
  #grant: Grant = OPEN_GRANT;
  #tenant = "";
  #visit: Visit | undefined;
  #requestBytes = 0;
  #responseBytes = 0;
  #status = 0;
  #outcome: "complete" | "aborted" = "complete";
  #bodyPending = false;
  #isEndless = false;
  #missReason: MissReason | undefined;
  #tierTimes = "";
  /** The server's failure, with its causes. */
  #error: string | undefined;
  /** The traceparent of the client, of a failed exchange that is not followed. */
  #callerId: string | undefined;

  constructor(shared: Shared, { method, route, path, context, followed }: Arrival) {
    this.method = KNOWN_METHODS.has(method) ? method : "_OTHER";
    this.route = route;
    this.path = path;
    this.context = context;
    this.#followed = followed;
    this.#shared = shared;
    this.#startMs = shared.clock.monotonicMs();
    const start = { route, method: this.method };
    if (followed === undefined) shared.publish("http.request.start", start);
    else {
      const { requestId, traceParent } = followed;
      shared.publish("http.request.start", { ...start, requestId, traceParent });
    }
  }

  /** Names this request in the events of its storage; undefined if it is not followed. */
  get requestId(): string | undefined {
    return this.#followed?.requestId;
  }

  /** The rights of the request; all rights until it is admitted. */
  get grant(): Grant {
    return this.#grant;
  }

  /** The tenant of the request, once it is admitted. */
  get tenant(): string {
    return this.#tenant;
  }

  /** Sets the rights and the tenant of the request. */
  admitted(grant: Grant, tenant: string): void {
    this.#grant = grant;
    this.#tenant = tenant;
  }

  /** Sets the place of the request in what the limits count; it is left when the exchange is over. */
  entered(visit: Visit): void {
    this.#visit = visit;
  }

  /** The address of the client; "" if it is not known. */
  addressOf(request: Request): string {
    const address = this.context.addressOf?.(request) ?? "";
    return this.#shared.clientAddress?.of(address, request.headers) ?? address;
  }

  /** Publishes that the request has reached a limit. */
  reached(limit: EventMap["limit.reached"]["limit"]): void {
    const { tokenId } = this.#grant;
    this.#shared.publish("limit.reached", {
      limit,
      route: this.route,
      method: this.method,
      tenant: this.#tenant,
      ...(tokenId === "" ? {} : { token: tokenId }),
      ...(this.#followed === undefined ? {} : { requestId: this.#followed.requestId }),
    });
  }

  /** Publishes that the request is refused because of its sender. */
  refused(reason: EventMap["access.refused"]["reason"], address: string): void {
    const { tokenId } = this.#grant;
    this.#shared.publish("access.refused", {
      reason,
      route: this.route,
      method: this.method,
      address,
      ...(tokenId === "" ? {} : { token: tokenId }),
      ...(this.#followed === undefined ? {} : { requestId: this.#followed.requestId }),
    });
  }

  /** Why its lookup was a miss. */
  get missReason(): MissReason | undefined {
    return this.#missReason;
  }

  missed(reason: MissReason): void {
    this.#missReason = reason;
  }

  /** True if a lookup of its own has asked a tier. */
  get hasAskedTiers(): boolean {
    return this.#tierTimes !== "";
  }

  asked(tier: string, { startMs, seconds }: { readonly startMs: number; readonly seconds: number }): void {
    if (this.#tierTimes.length > MAX_TIER_TIMES) return;
    if (this.#tierTimes === "") this.#tierTimes = `l1;dur=${milliseconds(startMs - this.#startMs)}, `;
    this.#tierTimes += `${tier};dur=${milliseconds(seconds * 1000)}, `;
  }

  /**
   * The value of Server-Timing: `total` is the time until now, `l1` the time until the first tier was asked, then each
   * tier's own. With `inMemory`, L1 has answered and `l1` is `total`. A request that has joined another one's load
   * reports only `total`.
   */
  serverTiming(inMemory: boolean = false): string {
    const total = milliseconds(this.elapsedMs());
    return inMemory ? `l1;dur=${total}, total;dur=${total}` : `${this.#tierTimes}total;dur=${total}`;
  }

  /** Milliseconds from the start to the first call: one reading of the clock serves the header and the event. */
  elapsedMs(): number {
    return this.#elapsedMs ??= this.#shared.clock.monotonicMs() - this.#startMs;
  }

  /** Wall time: milliseconds since the epoch. */
  nowMs(): number {
    return this.#shared.clock.nowMs();
  }

  /** Counts body bytes that have arrived. Throws VitrineError (too_many_bytes). */
  received(bytes: number): void {
    this.#requestBytes += bytes;
    this.#visit?.received(bytes);
  }

  /** The request's body broke off. */
  brokeOff(): void {
    this.#outcome = "aborted";
  }

  /**
   * Notes why the server failed. If the exchange is not followed, its end carries the client's traceparent, so that the
   * log line can be found by it.
   */
  failedFor(traceParent: string | null, error: string): void {
    this.#error = error;
    if (this.#followed !== undefined || traceParent === null) return;
    const caller = parseTraceParent(traceParent);
    // Not sampled, so that no span is made of it.
    if (caller !== undefined) this.#callerId = formatTraceParent({ ...caller, sampled: false });
  }

  /** Sets the length of a body that is complete; cancels `bodyFollows`. */
  answers(bytes: number): void {
    this.#bodyPending = false;
    this.#responseBytes = this.method === "HEAD" ? 0 : bytes;
  }

  /** The body leaves on its own: `bodyEnded` will follow, perhaps before `answered`. */
  bodyFollows(): void {
    this.#bodyPending = true;
  }

  /** Like bodyFollows, of a body that goes on until somebody ends it: a stop of the server does not wait for it. */
  endlessBodyFollows(): void {
    this.#bodyPending = true;
    this.#isEndless = true;
    this.#shared.onEndless(1);
  }

  /** The body has left, or broke off. */
  bodyEnded(result: {
    readonly outcome: "complete" | "aborted";
    readonly bytesSent: number;
    /** The client took it too slowly. */
    readonly isSlow?: true;
  }): void {
    this.#bodyPending = false;
    if (result.isSlow === true) this.reached("transfer");
    this.#responseBytes = result.bytesSent;
    if (result.outcome === "aborted") this.#outcome = "aborted";
    if (this.#status !== 0) {
      this.#elapsedMs = undefined;
      this.#over();
    }
  }

  /** The response is handed to the runtime. */
  answered(response: Response): Response {
    this.#status = response.status;
    if (this.#followed !== undefined) {
      this.#headersMs = this.elapsedMs();
      response.headers.set("traceparent", this.#followed.requestId);
    }
    if (!this.#bodyPending) this.#over();
    return response;
  }

  #over(): void {
    const { publish, onEndless, onOver } = this.#shared;
    const { route, method } = this;
    const status = String(this.#status);
    const requestBytes = this.#requestBytes;
    const responseBytes = this.#responseBytes;
    if (requestBytes > 0) publish("http.body", { direction: "request", route, method, status, bytes: requestBytes });
    if (responseBytes > 0) publish("http.body", { direction: "response", route, method, status, bytes: responseBytes });
    const { tokenId } = this.#grant;
    const end = {
      route,
      method,
      status,
      token: tokenId === "" ? undefined : tokenId,
      outcome: this.#outcome,
      seconds: this.elapsedMs() / 1000,
      requestBytes,
      responseBytes,
    };
    const isPlain = this.#followed === undefined && this.#error === undefined;
    publish("http.request.end", isPlain ? end : { ...end, ...this.#details() });
    if (this.#isEndless) onEndless(-1);
    this.#visit?.leave();
    onOver();
  }

  /** The fields that the end of an exchange has only if it is followed or has failed. */
  #details(): Partial<EventMap["http.request.end"]> {
    const failure = this.#error === undefined ? {} : { error: this.#error };
    if (this.#followed === undefined) {
      return this.#callerId === undefined ? failure : { ...failure, requestId: this.#callerId };
    }
    return {
      ...failure,
      requestId: this.#followed.requestId,
      tenant: this.#tenant,
      parameter: encodedKey(this.path),
      headersMs: milliseconds(this.#headersMs),
    };
  }
}

/** The options of Exchanges. */
export interface ExchangesOptions extends Pick<Shared, "publish" | "clock" | "clientAddress"> {
  /** Decides which requests' events carry details; default: none's. */
  readonly follow?: TraceRequest | undefined;
  /** Called with the number of active exchanges whenever it changes. */
  readonly onActiveRequests?: (count: number) => void;
}

/** Begins exchanges and counts those that are not over. */
export class Exchanges {
  readonly #shared: Shared;
  readonly #options: ExchangesOptions;
  #active = 0;
  #endless = 0;

  constructor(options: ExchangesOptions) {
    this.#options = options;
    this.#shared = {
      publish: options.publish,
      clock: options.clock,
      clientAddress: options.clientAddress,
      onOver: () => this.#changeActive(-1),
      onEndless: (change) => this.#endless += change,
    };
  }

  get active(): number {
    return this.#active;
  }

  /** Active exchanges whose body has no end of its own. */
  get endless(): number {
    return this.#endless;
  }

  /** Begins the exchange of a request that has just arrived. */
  begin(request: Request, { route, path, context }: Pick<Arrival, "route" | "path" | "context">): Exchange {
    this.#changeActive(1);
    const followed = this.#options.follow?.(request.headers.get("traceparent"));
    return new Exchange(this.#shared, { method: request.method, route, path, context, followed });
  }

  #changeActive(change: 1 | -1): void {
    this.#active += change;
    this.#options.onActiveRequests?.(this.#active);
  }
}

/** With three decimals at most. */
function milliseconds(ms: number): string {
  return String(Math.round(ms * 1000) / 1000);
}

/** The contents of Hono's context: `c.env` is set before a request is routed, `c.get` by the first middleware. */
export interface Env {
  readonly Bindings: {
    /** The path as it was sent, percent-encoded; "" if the request is refused before it is routed. */
    readonly path: string;
    readonly context: RequestContext;
    /** Why the request is not for this server. */
    readonly misaddressed: Refusal | undefined;
  };
  readonly Variables: { readonly exchange: Exchange };
}
