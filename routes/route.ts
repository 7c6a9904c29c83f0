import type { Context } from "hono";
import type { DescribeRouteOptions } from "hono-openapi";
import type { GenericSchema } from "valibot";
import type { Call } from "./call.ts";

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
