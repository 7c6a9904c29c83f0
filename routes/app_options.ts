import type { Access } from "../src/access/access.ts";
import type { Clock } from "../src/core/clock.ts";
import type { Follow } from "../src/core/followed_request.ts";
import type { Publish } from "../src/core/publish.ts";
import type { EventMap } from "../src/events/catalogue.ts";
import type { OpenEvents } from "../src/events/live/wanted_events.ts";
import type { ObjectRead, Storage } from "../src/storage/types.ts";

/** What the routes need that tell how the server is. */
export interface AdminOptions {
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** Version, runtime and the like for /version. */
  readonly version: Readonly<Record<string, string>>;
  /** Effective settings without secrets, for /config. */
  readonly config: () => object;
  /** Everything inside, for /status. */
  readonly status: () => Promise<object>;
  /** Prometheus text for /metrics. */
  readonly metricsText: () => Promise<string>;
  /** Opens a live stream of events, for /v1/events. */
  readonly events: OpenEvents;
  /** Decides who a request comes from. */
  readonly access: Access;
  /** Whether everybody may read /metrics. */
  readonly metricsAreOpen: boolean;
  /** Whether it listens on more than its machine's loopback. */
  readonly isExposed: boolean;
  /** Origins whose pages may use the server, as browsers write them. */
  readonly corsOrigins: readonly string[];
  /** Names that may stand in Host, beside the loopback's and addresses. */
  readonly allowedHosts: readonly string[];
  /** Whether the process is worth keeping, for /healthz. */
  readonly isAlive: () => boolean;
  /** Why traffic may not come, for /readyz; undefined: it may. */
  readonly unready: () => string | undefined;
  /** Told how many requests are in hand whenever that changes. */
  readonly onActiveRequests?: (count: number) => void;
  /** Told of errors that became a 500. */
  readonly reportError: (error: unknown) => void;
  /** Decides which requests' events carry details; default: none's. */
  readonly follow?: Follow | undefined;
}

/** Everything the routes need. */
export interface AppOptions extends AdminOptions {
  readonly storage: Storage;
  readonly sender: Sender;
  /** Told of each chunk of a streamed request body when it is no longer needed, and how much of the body has come. */
  readonly discard: (chunk: Uint8Array, bodyBytes: number) => void;
}

/** What a runtime knows of a request beside the Request: handed through to its sender unread. */
export interface RequestContext {
  readonly completed?: Promise<void>;
  /** Set if the URL's path is another than was sent. */
  readonly isResolved?: true;
  /**
   * Told before (true) and after (false) the rest of the request's body is waited for; undefined where the runtime sees
   * to its clients itself.
   */
  readonly waitsForBody?: (waits: boolean) => void;
  /** The address of the other end of the request's connection; "" if it is gone. */
  readonly addressOf?: (request: Request) => string;
}

/**
 * Makes a Response of an object's bytes and releases it when the runtime reads them no more; src/runtime has one for
 * each runtime.
 */
export interface Sender {
  /** Bodies above this many bytes are streamed (on Bun without a Content-Length). */
  readonly copyLimitBytes: number;
  send(read: Pick<ObjectRead, "copy" | "chunks" | "release">, options: {
    readonly start: number;
    /** Exclusive. */
    readonly end: number;
    readonly pinnedBytes: number;
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly context: RequestContext;
    readonly onEnd: (result: { readonly outcome: "complete" | "aborted"; readonly bytesSent: number }) => void;
  }): Response;
}
