import type { DescribeRouteOptions } from "hono-openapi";
import type { GenericSchema } from "valibot";
import type { Scope } from "../src/access/grant.ts";
import type { Call } from "./call.ts";

/** Answers a call; what it throws becomes a problem. */
export type Handler = (call: Call, request: Request) => Response | Promise<Response>;

/** One path and method with all that belongs to it. */
export interface Route {
  /** GET answers HEAD too. */
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** The path; at most one `{name}`, which takes any characters, slashes included. */
  readonly template: string;
  readonly spec: DescribeRouteOptions;
  /** Only for tokens with one of these, where tokens are configured; undefined: for everybody. */
  readonly scopes?: readonly Scope[];
  /** Of the query string, for the specification; the handler parses with it. */
  readonly query?: GenericSchema;
  readonly handler: Handler;
  /** A GET that is called without Hono in between, whose context is a twelfth of a small hit (docs/RUNTIMES.md). */
  readonly hot?: true;
}
