import type { RequestContext } from "./app_options.ts";
import type { Exchange } from "./exchange.ts";
import type { Refusal } from "./http/problem.ts";

/** The contents of Hono's context: `c.env` is set before a request is routed, `c.get` by the first middleware. */
export interface Env {
  readonly Bindings: {
    /** The path as it was sent, percent-encoded; "" if the request is refused before it is routed. */
    readonly path: string;
    readonly context: RequestContext;
    /** Why the request is not for this server. */
    readonly misaddressed: Refusal | undefined;
  };
  readonly Variables: { readonly exchange: Exchange };
}
