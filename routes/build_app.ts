import { Hono } from "hono";
import { causeText } from "../src/core/cause_text.ts";
import { VitrineError } from "../src/core/errors.ts";
import type { AdminOptions, RequestContext } from "./app_options.ts";
import { Call } from "./call.ts";
import { guarded } from "./http/admit.ts";
import { Cors, refuseForeign } from "./http/origin.ts";
import { HostGate } from "./http/host.ts";
import { type Located, NOWHERE, PathTable } from "./http/path_table.ts";
import { problem, type Refusal } from "./http/problem.ts";
import { targetOf } from "./http/target.ts";
import type { Handler, Route } from "./route.ts";

/** The HTTP interface. */
export interface App {
  /** Answers one request; an L1 hit synchronously. */
  readonly fetch: (request: Request, context: RequestContext) => Response | Promise<Response>;
  /** Requests whose response has not left completely. */
  activeRequests(): number;
  /**
   * Those of them whose response has no end of its own: a server that stops need not wait until their readers have
   * read.
   */
  endlessRequests(): number;
  /** Requests that must not come with a path that the runtime has resolved from another: they change what is stored. */
  readonly exactPaths: { readonly prefix: string; readonly methods: readonly string[] };
}

/**
 * Makes an app of routes. Around Hono, not inside as middleware, stand the start and end events: a middleware would
 * make every answer wait.
 */
export function buildApp(routes: readonly Route[], options: AdminOptions): App {
  const hosts = new HostGate(options.allowedHosts);
  const cors = options.corsOrigins.length === 0 ? undefined : new Cors(options.corsOrigins);
  const table = new PathTable(routes.map(({ template }) => template));
  const hot = new Map<string, Handler>();
  // Hono is given the template in place of the path: keys stay as they were sent, and every route is a fixed string.
  const hono = new Hono<{ Bindings: Call }>({
    getPath: (_request, { env } = {}) => env?.located.template ?? "",
  });
  for (const route of routes) {
    const handler = guarded(route.handler, route.scopes, options.access);
    hono.on(route.method, route.template, (c) => handler(c.env, c.req.raw));
    if (route.hot) hot.set(route.template, handler);
  }
  hono.notFound((c) => notRouted(c.env, c.req.raw, routes));
  hono.onError((error, c) => failed(c.env, c.req.raw, { error, options }));

  const methods = new Map(routes.map(({ template }) => [template, new Set(methodsOf(routes, template))]));
  /** Requests that reach no route are counted as one: they could be of any method. */
  function countedRoute({ method }: Request, { template }: Located): string {
    return methods.get(template)?.has(method) === true ? template : NOWHERE.template;
  }

  function answer(call: Call, request: Request): Response | Promise<Response> {
    const isRead = request.method === "GET" || request.method === "HEAD";
    const read = isRead ? hot.get(call.located.template) : undefined;
    const preflight = cors?.preflight(call, request);
    if (preflight !== undefined) return preflight;
    // Stored bytes say themselves to browsers that other origins may not use them.
    const foreign = read === undefined && cors?.allows(request) !== true ? refuseForeign(request) : undefined;
    if (foreign !== undefined) return problem(call, request, foreign);
    const handler = request.method === "GET" ? read : undefined;
    if (handler === undefined) return hono.fetch(request, call);
    try {
      const response = handler(call, request);
      return response instanceof Promise
        ? response.catch((error: unknown) => failed(call, request, { error, options }))
        : response;
    } catch (error) {
      return failed(call, request, { error, options });
    }
  }

  let active = 0;
  let endless = 0;
  const onEndless = (change: 1 | -1) => {
    endless += change;
  };
  const { onActiveRequests } = options;
  const onOver = () => {
    active--;
    onActiveRequests?.(active);
  };
  return {
    activeRequests: () => active,
    endlessRequests: () => endless,
    exactPaths: { prefix: "/v1/objects/", methods: ["PUT", "DELETE"] },
    fetch(request, context) {
      active++;
      onActiveRequests?.(active);
      const target = targetOf(request.url);
      const located = target === undefined ? NOWHERE : table.locate(target);
      const refusal = misaddressed(request, { target, hosts, context });
      const call = new Call(request.method, located, {
        route: refusal === undefined ? countedRoute(request, located) : NOWHERE.template,
        publish: options.publish,
        clock: options.clock,
        context,
        followed: options.follow?.(request.headers.get("traceparent")),
        onOver,
        onEndless,
      });
      const response = refusal === undefined ? answer(call, request) : problem(call, request, refusal);
      const finish = (made: Response) => call.answered(cors === undefined ? made : cors.mark(request, made));
      return response instanceof Promise ? response.then(finish) : finish(response);
    },
  };
}

/**
 * What makes a request none of ours, whatever its path (RFC 9112, 3.2): it is refused here, after its start is counted.
 */
function misaddressed(
  { headers }: Request,
  { target, hosts, context }: {
    readonly target: string | undefined;
    readonly hosts: HostGate;
    readonly context: RequestContext;
  },
): Refusal | undefined {
  const refusal = hosts.refuse(headers.get("host"));
  if (refusal !== undefined) return refusal;
  if (target === undefined) return { code: "bad_request", message: "parse request target: not a path of this server" };
  if (context.isResolved !== true) return undefined;
  return {
    code: "bad_key",
    message: "parse path: a dot segment or a backslash in it: encode it, or the slash beside the dots",
  };
}

/** The methods of the routes with this template; HEAD is where GET is. */
function methodsOf(routes: readonly Route[], template: string): readonly string[] {
  return routes.filter((route) => route.template === template)
    .flatMap(({ method }) => method === "GET" ? ["GET", "HEAD"] : [method]);
}

function notRouted(call: Call, request: Request, routes: readonly Route[]): Response {
  const { template } = call.located;
  const methods = methodsOf(routes, template);
  if (methods.length === 0) return problem(call, request, { code: "not_found", message: "find route: no such path" });
  const allow = methods.join(", ");
  const message = `find route: ${request.method} is not one of ${allow}`;
  return problem(call, request, { code: "method_not_allowed", message }, { allow });
}

function failed(
  call: Call,
  request: Request,
  { error, options }: { readonly error: unknown; readonly options: AdminOptions },
): Response {
  if (!(error instanceof VitrineError)) options.reportError(error);
  const shown = error instanceof VitrineError
    ? error
    : { code: "internal_error", message: "answer request: unexpected failure" } as const;
  const response = problem(call, request, shown, call.hasAskedTiers ? { "server-timing": call.serverTiming() } : {});
  if (response.status >= 500) call.failedFor(request.headers.get("traceparent"), causeText(error));
  return response;
}
