import { type Grant, OPEN_GRANT } from "../src/access/grant.ts";
import type { Clock } from "../src/core/clock.ts";
import type { FollowedRequest } from "../src/core/followed_request.ts";
import type { MissReason } from "../src/core/miss_reason.ts";
import { formatTraceParent, parseTraceParent } from "../src/core/trace_context.ts";
import type { Publish } from "../src/core/publish.ts";
import type { EventMap } from "../src/events/catalogue.ts";
import type { LookupListener } from "../src/storage/types.ts";
import type { Located } from "./http/path_table.ts";
import type { RequestContext } from "./app_options.ts";

const KNOWN_METHODS = new Set(["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"]);

/** Characters of Server-Timing beyond which further tiers are left out. */
const MAX_TIER_TIMES = 1024;

/** What a call needs of its app. */
export interface CallOptions {
  /** What is counted as its route. */
  readonly route: string;
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  readonly context: RequestContext;
  /** Set if its events carry details. */
  readonly followed: FollowedRequest | undefined;
  /** Called once, when the call is over. */
  readonly onOver: () => void;
  /** Told of a body without an end of its own: 1 when it begins, -1 when it is over. */
  readonly onEndless: (change: 1 | -1) => void;
}

/** One request from its arrival until its response has left: what is counted about it, and its two events. */
export class Call implements LookupListener {
  readonly located: Located;
  readonly method: string;
  readonly #options: CallOptions;
  #requestBytes = 0;
  #responseBytes = 0;
  #status = 0;
  #outcome: "complete" | "aborted" = "complete";
  #bodyPending = false;
  #isEndless = false;
  readonly #startMs: number;
  /** Monotonic milliseconds from the start; undefined until they are asked for. */
  #elapsedMs: number | undefined;
  #headersMs = 0;
  /** Names a failed request that is not followed. */
  #callerId: string | undefined;
  /** Why it failed. */
  #error: string | undefined;
  #missReason: MissReason | undefined;
  #tierTimes = "";
  #grant: Grant = OPEN_GRANT;
  #tenant = "";

  constructor(method: string, located: Located, options: CallOptions) {
    this.located = located;
    this.method = KNOWN_METHODS.has(method) ? method : "_OTHER";
    this.#options = options;
    this.#startMs = options.clock.monotonicMs();
    const start = { route: options.route, method: this.method };
    if (options.followed === undefined) options.publish("http.request.start", start);
    else {
      const { requestId, traceParent } = options.followed;
      options.publish("http.request.start", { ...start, requestId, traceParent });
    }
  }

  /** What names this request in the events of its storage; undefined if it is not followed. */
  get requestId(): string | undefined {
    return this.#options.followed?.requestId;
  }

  get context(): RequestContext {
    return this.#options.context;
  }

  /** What it may do, once it was let in. */
  get grant(): Grant {
    return this.#grant;
  }

  /** Whose objects it asks for, once it was let in. */
  get tenant(): string {
    return this.#tenant;
  }

  /** It is let in, for a tenant. */
  admitted(grant: Grant, tenant: string): void {
    this.#grant = grant;
    this.#tenant = tenant;
  }

  /** It is refused for who it comes from. */
  refused(reason: EventMap["access.refused"]["reason"], address: string): void {
    const { route, publish, followed } = this.#options;
    const { tokenId } = this.#grant;
    publish("access.refused", {
      reason,
      route,
      method: this.method,
      address,
      ...(tokenId === "" ? {} : { token: tokenId }),
      ...(followed === undefined ? {} : { requestId: followed.requestId }),
    });
  }

  /** Why its lookup was a miss, once it was. */
  get missReason(): MissReason | undefined {
    return this.#missReason;
  }

  /** Whether a tier was asked for it, by a lookup of its own. */
  get hasAskedTiers(): boolean {
    return this.#tierTimes !== "";
  }

  missed(reason: MissReason): void {
    this.#missReason = reason;
  }

  asked(tier: string, { startMs, seconds }: { readonly startMs: number; readonly seconds: number }): void {
    if (this.#tierTimes.length > MAX_TIER_TIMES) return;
    if (this.#tierTimes === "") this.#tierTimes = `l1;dur=${milliseconds(startMs - this.#startMs)}, `;
    this.#tierTimes += `${tier};dur=${milliseconds(seconds * 1000)}, `;
  }

  /**
   * Server-Timing of an answer: the milliseconds until its headers, and before that those until the first tier was
   * asked ("l1") and each tier took to answer. `inMemory`: L1 answered, so all of it is L1's. Who joins another
   * request's load knows the total alone.
   */
  serverTiming(inMemory: boolean = false): string {
    const total = milliseconds(this.elapsedMs());
    return inMemory ? `l1;dur=${total}, total;dur=${total}` : `${this.#tierTimes}total;dur=${total}`;
  }

  /**
   * Milliseconds from the start to the first time this is asked: the clock is read once for the header and the event.
   */
  elapsedMs(): number {
    return this.#elapsedMs ??= this.#options.clock.monotonicMs() - this.#startMs;
  }

  /** Wall time: milliseconds since the epoch. */
  nowMs(): number {
    return this.#options.clock.nowMs();
  }

  /** Counts body bytes that arrived. */
  received(bytes: number): void {
    this.#requestBytes += bytes;
  }

  /** The request's body broke off. */
  brokeOff(): void {
    this.#outcome = "aborted";
  }

  /**
   * It is answered with a failure of ours, whose causes its end tells: where it is not followed, its end is told with
   * the span of its caller (`traceParent`, if that is valid), to be found by.
   */
  failedFor(traceParent: string | null, error: string): void {
    this.#error = error;
    if (this.#options.followed !== undefined || traceParent === null) return;
    const caller = parseTraceParent(traceParent);
    // Not sampled: nobody is to make a span of it.
    if (caller !== undefined) this.#callerId = formatTraceParent({ ...caller, sampled: false });
  }

  /** Says how long the body of the answer is; takes back `bodyFollows`. */
  answers(bytes: number): void {
    this.#bodyPending = false;
    this.#responseBytes = this.method === "HEAD" ? 0 : bytes;
  }

  /** The body leaves on its own; `bodyEnded` will follow, perhaps before `answered`. */
  bodyFollows(): void {
    this.#bodyPending = true;
  }

  /**
   * As bodyFollows, of a body that goes on until somebody ends it: a server that stops does not wait for its reader.
   */
  endlessBodyFollows(): void {
    this.#bodyPending = true;
    this.#isEndless = true;
    this.#options.onEndless(1);
  }

  /** The body has left, or broke off. */
  bodyEnded(result: { readonly outcome: "complete" | "aborted"; readonly bytesSent: number }): void {
    this.#bodyPending = false;
    this.#responseBytes = result.bytesSent;
    if (result.outcome === "aborted") this.#outcome = "aborted";
    if (this.#status !== 0) {
      this.#elapsedMs = undefined;
      this.#over();
    }
  }

  /** The response is in the runtime's hands. */
  answered(response: Response): Response {
    this.#status = response.status;
    const { followed } = this.#options;
    if (followed !== undefined) {
      this.#headersMs = this.elapsedMs();
      response.headers.set("traceparent", followed.requestId);
    }
    if (!this.#bodyPending) this.#over();
    return response;
  }

  #over(): void {
    const { route, publish, followed, onOver } = this.#options;
    const answer = { route, method: this.method, status: String(this.#status) };
    this.#publishBody("request", this.#requestBytes, answer);
    this.#publishBody("response", this.#responseBytes, answer);
    const failure = this.#error === undefined ? undefined : { error: this.#error };
    const { tokenId } = this.#grant;
    const end = {
      ...answer,
      ...failure,
      token: tokenId === "" ? undefined : tokenId,
      outcome: this.#outcome,
      seconds: this.elapsedMs() / 1000,
      requestBytes: this.#requestBytes,
      responseBytes: this.#responseBytes,
    };
    if (followed === undefined) {
      const callerId = this.#callerId;
      publish("http.request.end", callerId === undefined ? end : { ...end, requestId: callerId });
    } else {
      const headersMs = milliseconds(this.#headersMs);
      const { requestId } = followed;
      publish("http.request.end", {
        ...end,
        requestId,
        tenant: this.#tenant,
        parameter: this.located.parameter,
        headersMs,
      });
    }
    if (this.#isEndless) this.#options.onEndless(-1);
    onOver();
  }

  #publishBody(
    direction: "request" | "response",
    bytes: number,
    answer: { readonly route: string; readonly method: string; readonly status: string },
  ): void {
    if (bytes > 0) this.#options.publish("http.body", { direction, ...answer, bytes });
  }
}

/** With three places behind the point at most. */
function milliseconds(ms: number): string {
  return String(Math.round(ms * 1000) / 1000);
}
