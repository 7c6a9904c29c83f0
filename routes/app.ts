import { type Context, Hono, type MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import { RegExpRouter } from "hono/router/reg-exp-router";
import { causeText, VitrineError } from "../src/core/errors.ts";
import type { AdminOptions, RequestContext, S3Host } from "./app_options.ts";
import { refusalInDialect as refused } from "./dialects.ts";
import { type Env, type Exchange, Exchanges, type Refusal } from "./exchange.ts";
import { fastPath, type FastRoutes } from "./fast_path.ts";
import { statusOf } from "./http/reply.ts";
import { HostGate, OriginPolicy } from "./http/strangers.ts";
import { OBJECT_ROUTE, pathOf, routeNames, targetOf } from "./http/target.ts";
import { s3Path } from "./s3/address.ts";

/** The HTTP interface. */
export interface App {
  /** Answers one request; an L1 hit synchronously. */
  readonly fetch: (request: Request, context: RequestContext) => Response | Promise<Response>;
  /** Requests whose response has not left completely. */
  activeRequests(): number;
  /** Those of them whose response has no end of its own: a stop of the server does not wait for them. */
  endlessRequests(): number;
  /** Requests that change objects: the runtime must mark them if it has resolved their path. */
  readonly exactPaths: { readonly prefix: string; readonly methods: readonly string[] };
}

/** The name of every request that reaches no route. */
const NO_ROUTE = "_other";

/** Makes an interface of routes, with what is common to all requests around them. */
export function buildApp(
  options: AdminOptions,
  { addRoutes, namedPaths = [], fast, s3Hosts = [] }: {
    readonly addRoutes: (app: Hono<Env>) => void;
    /** Paths of routes with a parameter that count under their own name. */
    readonly namedPaths?: readonly string[];
    readonly fast?: FastRoutes;
    readonly s3Hosts?: readonly S3Host[];
  },
): App {
  const exchanges = new Exchanges(options);
  const hosts = new HostGate(options.allowedHosts);
  const origins = new OriginPolicy(options.corsOrigins);
  const onError = (error: unknown, exchange: Exchange, request: Request) =>
    failed(exchange, request, { error, options });

  // Hono's own getPath decodes the path, and one key could be taken for another.
  const app = new Hono<Env>({ router: new RegExpRouter(), getPath: (_request, { env } = {}) => env?.path ?? "" });
  app.use(async (c, next) => {
    const matched = names.get(routePath(c, -1)) ?? NO_ROUTE;
    const route = matched !== NO_ROUTE && namedPaths.includes(c.req.path) ? c.req.path : matched;
    const exchange = exchanges.begin(c.req.raw, { route, path: c.req.path, context: c.env.context });
    c.set("exchange", exchange);
    await next();
    exchange.answered(c.res);
  });
  app.use(cors(origins));
  app.use(refuseStrangers(origins));
  addRoutes(app);
  app.notFound((c) => notFound(c, app));
  app.onError((error, c) => onError(error, c.get("exchange"), c.req.raw));
  const names = routeNames(app.routes.filter(({ method }) => method !== "ALL").map(({ path }) => path));

  const answerFast = fast && fastPath(fast, { exchanges, origins, onError });
  return {
    activeRequests: () => exchanges.active,
    endlessRequests: () => exchanges.endless,
    exactPaths: { prefix: "/", methods: ["PUT", "DELETE", "POST"] },
    fetch(request, context) {
      const target = targetOf(request.url);
      const misaddressed = checkAddress(request, { target, hosts, context });
      if (target === undefined || misaddressed !== undefined) {
        return app.fetch(request, { path: "", context, misaddressed });
      }
      const inBucket = s3Hosts.length === 0 ? undefined : s3Path(s3Hosts, request.headers.get("host"), pathOf(target));
      if (inBucket !== undefined) return app.fetch(request, { path: inBucket, context, misaddressed });
      return answerFast?.(request, target, context) ??
        app.fetch(request, { path: pathOf(target), context, misaddressed });
    },
  };
}

/** The reason to refuse a request whatever its path is (RFC 9112, 3.2); undefined if it is for this server. */
function checkAddress(
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

/** Answers the preflights of pages that may use the server, and marks all answers for them. */
function cors(origins: OriginPolicy): MiddlewareHandler<Env> {
  return async (c, next) => {
    const preflight = c.env.misaddressed === undefined ? origins.preflight(c.get("exchange"), c.req.raw) : undefined;
    if (preflight === undefined) await next();
    else c.res = preflight;
    origins.mark(c.req.raw, c.res);
  };
}

/** Refuses what is not for this server, and what pages of other origins may not do. */
function refuseStrangers(origins: OriginPolicy): MiddlewareHandler<Env> {
  return async (c, next) => {
    const exchange = c.get("exchange");
    // The bytes of an object are open to a page's request: their headers keep them from being used.
    const isRead = exchange.route === OBJECT_ROUTE && (exchange.method === "GET" || exchange.method === "HEAD");
    const refusal = c.env.misaddressed ?? (isRead ? undefined : origins.refuse(c.req.raw));
    if (refusal !== undefined) return refused(exchange, c.req.raw, refusal);
    return await next();
  };
}

/** 405 where the path has other methods, else 404. */
function notFound(c: Context<Env>, app: Hono<Env>): Response {
  const exchange = c.get("exchange");
  const routed = new Set(app.routes.map(({ method }) => method)).difference(new Set(["ALL"]));
  const methods = [...routed]
    .filter((method) => app.router.match(method, c.req.path)[0].some(([[, route]]) => route.method === method))
    .flatMap((method) => method === "GET" ? ["GET", "HEAD"] : [method]);
  if (methods.length === 0) {
    return refused(exchange, c.req.raw, { code: "not_found", message: "find route: no such path" });
  }
  const allow = methods.join(", ");
  const message = `find route: ${c.req.method} is not one of ${allow}`;
  return refused(exchange, c.req.raw, { code: "method_not_allowed", message }, { allow });
}

function failed(
  exchange: Exchange,
  request: Request,
  { error, options }: { readonly error: unknown; readonly options: AdminOptions },
): Response {
  if (!(error instanceof VitrineError)) options.reportError(error);
  const shown = error instanceof VitrineError
    ? error
    : { code: "internal_error", message: "answer request: unexpected failure" } as const;
  const timing = exchange.hasAskedTiers ? { "server-timing": exchange.serverTiming() } : {};
  const response = refused(exchange, request, shown, timing);
  if (Math.max(response.status, statusOf(shown.code)) >= 500) {
    exchange.failedFor(request.headers.get("traceparent"), causeText(error));
  }
  return response;
}
