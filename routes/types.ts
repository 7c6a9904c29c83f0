import type { Context } from "hono";
import type { DescribeRouteOptions } from "hono-openapi";
import type { GenericSchema } from "valibot";
import type { Clock } from "../src/core/clock.ts";
import type { Publish } from "../src/core/publish.ts";
import type { EventMap } from "../src/events/catalogue.ts";
import type { ObjectRead, Storage } from "../src/storage/types.ts";
import type { Call } from "./call.ts";

/** What a runtime knows of a request beside the Request: handed through to its sender unread. */
export interface RequestContext {
  readonly completed?: Promise<void>;
}

/** Makes a Response of an object's bytes and releases it when the runtime reads them no more; src/runtime has one for each runtime. */
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

/** Everything the routes need. */
export interface AppOptions {
  readonly storage: Storage;
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  readonly sender: Sender;
  /** Version, runtime and the like for /version. */
  readonly version: Readonly<Record<string, string>>;
  /** Effective settings without secrets, for /config. */
  readonly config: () => object;
  /** Everything inside, for /status. */
  readonly status: () => Promise<object>;
  /** Prometheus text for /metrics. */
  readonly metricsText: () => Promise<string>;
  /** Whether traffic may come, for /readyz. */
  readonly isReady: () => boolean;
  /** Told of errors that became a 500. */
  readonly reportError: (error: unknown) => void;
}

/** What a handler gets. `env` is the call it answers. */
export type RouteContext = Context<{ Bindings: Call }>;

/** One path and method with all that belongs to it. */
export interface Route {
  /** GET answers HEAD too. */
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** The path; at most one `{name}`, which takes any characters, slashes included. */
  readonly template: string;
  readonly spec: DescribeRouteOptions;
  /** Of the query string, for the specification; the handler parses with it. */
  readonly query?: GenericSchema;
  readonly handler: (c: RouteContext) => Response | Promise<Response>;
}
