import { Hono } from "hono";
import { VitrineError } from "../src/core/errors.ts";
import { Call } from "./call.ts";
import { healthRoutes } from "./health.ts";
import { PathTable } from "./http/path_table.ts";
import { problem } from "./http/problem.ts";
import { metricsRoutes } from "./metrics.ts";
import { objectListRoutes } from "./object_list.ts";
import { objectRoutes } from "./objects.ts";
import { openapiRoutes } from "./openapi.ts";
import { statusRoutes } from "./status.ts";
import type { AppOptions } from "./app_options.ts";
import type { Route, RouteContext } from "./route.ts";
import type { RequestContext } from "./sender.ts";

/** The HTTP interface. */
export interface App {
  /** Answers one request; an L1 hit synchronously. */
  fetch(request: Request, context: RequestContext): Response | Promise<Response>;
  /** Requests whose response has not left completely. */
  activeRequests(): number;
}

/** Every route there is: one line for each group. */
function listRoutes(options: AppOptions): readonly Route[] {
  const routes = [
    ...objectRoutes(options),
    ...objectListRoutes(options),
    ...healthRoutes(options),
    ...statusRoutes(options),
    ...metricsRoutes(options),
  ];
  return [...routes, ...openapiRoutes(options, routes)];
}

/** Composes the routes. Around Hono, not inside as middleware, stand the start and end events: a middleware would make every answer wait. */
export function createApp(options: AppOptions): App {
  const routes = listRoutes(options);
  const table = new PathTable(routes.map(({ template }) => template));
  // Hono is given the template in place of the path: keys stay as they were sent, and every route is a fixed string.
  const hono = new Hono<{ Bindings: Call }>({
    getPath: (_request, { env } = {}) => env?.located.template ?? "",
  });
  for (const { method, template, handler } of routes) hono.on(method, template, handler);
  hono.notFound((c) => notRouted(c, routes));
  hono.onError((error, c) => failed(c, error, options));

  let active = 0;
  const onOver = () => {
    active--;
  };
  return {
    activeRequests: () => active,
    fetch(request, context) {
      active++;
      const call = new Call(request.method, table.locate(request.url), {
        publish: options.publish,
        clock: options.clock,
        context,
        onOver,
      });
      const response = hono.fetch(request, call);
      return response instanceof Promise ? response.then((later) => call.answered(later)) : call.answered(response);
    },
  };
}

function notRouted(c: RouteContext, routes: readonly Route[]): Response {
  const { template } = c.env.located;
  const methods = routes.filter((route) => route.template === template).map(({ method }) => method);
  if (methods.length === 0) {
    return problem(c.env, c.req.raw, { code: "not_found", message: "find route: no such path" });
  }
  const allow = methods.flatMap((method) => method === "GET" ? ["GET", "HEAD"] : [method]).join(", ");
  const message = `find route: ${c.req.raw.method} is not one of ${allow}`;
  return problem(c.env, c.req.raw, { code: "method_not_allowed", message }, { allow });
}

function failed(c: RouteContext, error: unknown, { reportError }: AppOptions): Response {
  if (error instanceof VitrineError) return problem(c.env, c.req.raw, error);
  reportError(error);
  return problem(c.env, c.req.raw, { code: "internal_error", message: "answer request: unexpected failure" });
}
