import type { RequestContext } from "./app_options.ts";
import type { Exchange, Exchanges } from "./exchange.ts";
import { admit, type Guard } from "./http/access.ts";
import { problem } from "./http/reply.ts";
import type { OriginPolicy } from "./http/strangers.ts";
import { OBJECT_ROUTE, OBJECTS } from "./http/target.ts";

/** Answers a request that has been admitted; what it throws becomes a problem. */
export type Answer = (exchange: Exchange, request: Request) => Response | Promise<Response>;

/** The routes that are also answered without Hono. */
export type FastRoutes = Readonly<Record<"GET" | "PUT", { readonly guard: Guard; readonly answer: Answer }>>;

/**
 * GET and PUT of an object without Hono, which takes 5 to 8 us more and cannot answer synchronously
 * (docs/decisions/007-hono.md). The steps are those of app.ts in the same order: without the fast path, every answer is
 * the same. Returns undefined for a request that is left to Hono.
 */
export function fastPath(
  routes: FastRoutes,
  { exchanges, origins, onError }: {
    readonly exchanges: Exchanges;
    readonly origins: OriginPolicy;
    readonly onError: (error: unknown, exchange: Exchange, request: Request) => Response;
  },
): (request: Request, target: string, context: RequestContext) => Response | Promise<Response> | undefined {
  function answer(exchange: Exchange, request: Request, method: "GET" | "PUT"): Response | Promise<Response> {
    const foreign = method === "GET" ? undefined : origins.refuse(request);
    if (foreign !== undefined) return problem(exchange, request, foreign);
    const route = routes[method];
    const admitted = admit(exchange, request, route.guard);
    return admitted === undefined
      ? route.answer(exchange, request)
      : admitted.then(() => route.answer(exchange, request));
  }

  function finish(response: Response, exchange: Exchange, request: Request): Response {
    origins.mark(request, response);
    return exchange.answered(response);
  }

  return (request, target, context) => {
    const { method } = request;
    if ((method !== "GET" && method !== "PUT") || !target.startsWith(OBJECTS) || target.includes("?")) return undefined;
    const exchange = exchanges.begin(request, { route: OBJECT_ROUTE, path: target, context });
    let response: Response | Promise<Response>;
    try {
      response = answer(exchange, request, method);
    } catch (error) {
      response = onError(error, exchange, request);
    }
    if (!(response instanceof Promise)) return finish(response, exchange, request);
    return response.then(
      (answered) => finish(answered, exchange, request),
      (error: unknown) => finish(onError(error, exchange, request), exchange, request),
    );
  };
}
