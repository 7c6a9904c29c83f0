import type { Access } from "../src/access/access.ts";
import type { ClientAddress } from "../src/access/client_address.ts";
import type { Limits } from "../src/access/limits.ts";
import type { Clock } from "../src/core/clock.ts";
import type { Publish, TraceRequest } from "../src/core/events.ts";
import type { TransferWatch } from "../src/core/watchdog.ts";
import type { EventMap } from "../src/events/catalogue.ts";
import type { Quotas } from "../src/storage/quotas.ts";
import type { ObjectRead, Storage } from "../src/storage/storage.ts";
import type { OpenEvents } from "../src/events/live/live_listener.ts";

/** Dependencies of the routes of both ports. */
export interface AdminOptions {
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** The answer of /version. */
  readonly version: Readonly<Record<string, string>>;
  /** The answer of /config: effective settings without secrets. */
  readonly config: () => object;
  /** The answer of /status. */
  readonly status: () => Promise<object>;
  /** The answer of /metrics: Prometheus text. */
  readonly metricsText: () => Promise<string>;
  /** Opens a live stream of events, for /v1/events. */
  readonly events: OpenEvents;
  /** Knows the tokens. */
  readonly access: Access;
  /** Finds the addresses of clients behind proxies; default: those of the sockets. */
  readonly clientAddress?: ClientAddress | undefined;
  /** True if /metrics needs no token. */
  readonly metricsAreOpen: boolean;
  /** True if the server listens on more than the loopback of its machine. */
  readonly isExposed: boolean;
  /** Origins whose pages may use the server, as browsers write them. */
  readonly corsOrigins: readonly string[];
  /** Names allowed in Host, in addition to loopback names and addresses. */
  readonly allowedHosts: readonly string[];
  /** False if the process must be restarted, for /healthz. */
  readonly isAlive: () => boolean;
  /** The reason why no traffic should come, for /readyz; undefined if it may. */
  readonly unready: () => string | undefined;
  /** Called with the number of active requests whenever it changes. */
  readonly onActiveRequests?: (count: number) => void;
  /** Called with errors that became a 500. */
  readonly reportError: (error: unknown) => void;
  /** Decides which requests' events carry details; default: none's. */
  readonly follow?: TraceRequest | undefined;
}

/** A name at which a server speaks S3. */
export interface S3Host {
  /** In lower case, without a port. */
  readonly name: string;
  /** The bucket at its root; undefined: the first segment of the path is the bucket. */
  readonly bucket: string | undefined;
}

/** The settings of the S3 interface. */
export interface S3Settings {
  /** Names that speak S3 at their root. */
  readonly hosts: readonly S3Host[];
  /** True: what is stored gets the MD5 of its bytes as its ETag. */
  readonly md5: boolean;
}

/** The servers that a request may reach. */
export interface Servers {
  /** The id of this server. */
  readonly own: string;
  /** The ids of those that its tiers lead to. */
  readonly behind: () => readonly string[];
}

/** Dependencies of the routes of the service port. */
export interface AppOptions extends AdminOptions {
  readonly s3: S3Settings;
  readonly servers: Servers;
  /** Counts the requests for objects and refuses those beyond a limit; default: none is. */
  readonly limits?: Limits | undefined;
  /** Finds the bodies of requests that arrive too slowly; default: none is too slow. */
  readonly transferWatch?: TransferWatch | undefined;
  readonly storage: Storage;
  readonly quotas: Quotas;
  readonly sender: Sender;
  /** Called with each chunk of a streamed request body that is no longer needed, and with the bytes read so far. */
  readonly discard: (chunk: Uint8Array, bodyBytes: number) => void;
}

/** What the runtime adds to a Request. Most of it is for the runtime's own sender. */
export interface RequestContext {
  readonly completed?: Promise<void>;
  /** Set if the path in the URL differs from the one that was sent. */
  readonly isResolved?: true;
  /**
   * Called with true before and with false after each wait for the request's body; undefined where the runtime itself
   * closes connections of clients that stall.
   */
  readonly waitsForBody?: (waits: boolean) => void;
  /** The client's address; "" if the connection is closed. */
  readonly addressOf?: (request: Request) => string;
  /** Closes the connection, where the runtime can. */
  readonly abort?: () => void;
}

/** Makes the Response for an object, and releases the object when it has been sent. Each runtime has its own. */
export interface Sender {
  /** Bodies up to this many bytes are sent as a copy by the source; larger ones may lack a Content-Length (Bun). */
  readonly copyLimitBytes: number;
  /** Copies the bytes [start, end) of `extents`, whose memory may be reused when it returns. */
  copy(extents: readonly Uint8Array[], options: {
    readonly start: number;
    /** Exclusive. */
    readonly end: number;
    readonly status: number;
    readonly headers: HeadersInit;
  }): Response;
  send(read: Pick<ObjectRead, "copy" | "chunks" | "release">, options: {
    readonly start: number;
    /** Exclusive. */
    readonly end: number;
    readonly pinnedBytes: number;
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly context: RequestContext;
    readonly onEnd: (result: {
      readonly outcome: "complete" | "aborted";
      readonly bytesSent: number;
      readonly isSlow?: true;
    }) => void;
  }): Response;
}

/** Dependencies of the operations of S3. */
export type S3Options = Pick<
  AppOptions,
  "access" | "discard" | "limits" | "s3" | "sender" | "storage" | "transferWatch"
>;
