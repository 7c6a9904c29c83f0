import type { Exchange } from "../exchange.ts";
import type { Refusal } from "./problem.ts";

/** The time for which a browser may remember the answer to a preflight. */
const MAX_AGE_SECONDS = "600";
const METHODS = "GET, HEAD, PUT, DELETE";
/** Headers that a page may read, in addition to those that it always may. */
const EXPOSED = [
  "accept-ranges",
  "age",
  "cache-status",
  "content-disposition",
  "content-encoding",
  "content-length",
  "content-range",
  "etag",
  "repr-digest",
  "retry-after",
  "server-timing",
  "vitrine-size",
].join(", ");
/** A list of field names. */
const NAMES = /^[!#$%&'*+.^_`|~0-9a-z-]+(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9a-z-]+)*$/i;

/**
 * Decides what web pages may do (Fetch Standard 3.2): those of the configured origins what their token allows, without
 * the browser's own credentials; those of any other origin nothing.
 */
export class OriginPolicy {
  readonly #origins: ReadonlySet<string>;

  /** `corsOrigins`: as browsers write them. */
  constructor(corsOrigins: readonly string[]) {
    this.#origins = new Set(corsOrigins);
  }

  /**
   * The reason to refuse a request that a page of another origin sends; undefined if there is none. Programs send
   * neither field. A link that somebody follows to this server is let in.
   */
  refuse(request: Request): Refusal | undefined {
    const { method, headers } = request;
    if (this.#allows(request)) return undefined;
    const origin = headers.get("origin");
    if (origin !== null && !isOwn(origin, headers.get("host") ?? "")) {
      return { code: "foreign_origin", message: `check Origin: not this server: ${origin.slice(0, 255)}` };
    }
    const site = headers.get("sec-fetch-site");
    if (site !== "cross-site" && site !== "same-site") return undefined;
    const isVisit = (method === "GET" || method === "HEAD") && headers.get("sec-fetch-dest") === "document";
    return isVisit ? undefined : { code: "foreign_origin", message: `check Sec-Fetch-Site: ${site}` };
  }

  /** The answer to a preflight of a page of a configured origin; undefined if the request is none. */
  preflight(exchange: Exchange, request: Request): Response | undefined {
    const { headers } = request;
    if (request.method !== "OPTIONS" || !headers.has("access-control-request-method") || !this.#allows(request)) {
      return undefined;
    }
    exchange.answers(0);
    const asked = headers.get("access-control-request-headers") ?? "";
    return new Response(null, {
      status: 204,
      headers: {
        "access-control-allow-methods": METHODS,
        ...(NAMES.test(asked) ? { "access-control-allow-headers": asked } : {}),
        "access-control-max-age": MAX_AGE_SECONDS,
      },
    });
  }

  /** Notes in an answer which pages may see it. */
  mark(request: Request, response: Response): void {
    if (this.#origins.size === 0) return;
    const { headers } = response;
    // A cache must not give the answer to a page of another origin.
    headers.append("vary", "Origin");
    if (!this.#allows(request)) return;
    headers.set("access-control-allow-origin", request.headers.get("origin") ?? "");
    headers.set("access-control-expose-headers", EXPOSED);
  }

  #allows(request: Request): boolean {
    return this.#origins.size > 0 && this.#origins.has(request.headers.get("origin") ?? "");
  }
}

/** True if an Origin is that of the server under this Host; false for `null` and for several origins. */
function isOwn(origin: string, host: string): boolean {
  const parsed = URL.parse(origin);
  if (parsed === null || parsed.origin !== origin.toLowerCase()) return false;
  return URL.parse(`${parsed.protocol}//${host}`)?.host === parsed.host;
}
