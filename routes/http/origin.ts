import type { Call } from "../call.ts";
import type { Refusal } from "./problem.ts";

/** How long a browser may remember the answer to a preflight. */
const MAX_AGE_SECONDS = "600";
const METHODS = "GET, HEAD, PUT, DELETE";
/** What a page may see of an answer, besides what it always may. */
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
/** Field names of a request, with commas between them. */
const NAMES = /^[!#$%&'*+.^_`|~0-9a-z-]+(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9a-z-]+)*$/i;

/**
 * Lets pages of the origins that are configured use the server (Fetch Standard 3.2), but no credentials of the browser.
 */
export class Cors {
  readonly #origins: ReadonlySet<string>;

  /** `origins`: as browsers write them. */
  constructor(origins: readonly string[]) {
    this.#origins = new Set(origins);
  }

  /** Whether a request comes from the page of such an origin. */
  allows({ headers }: Request): boolean {
    return this.#origins.has(headers.get("origin") ?? "");
  }

  /** The answer to a preflight of such a page; undefined if the request is none. */
  preflight(call: Call, request: Request): Response | undefined {
    const { headers } = request;
    if (request.method !== "OPTIONS" || !headers.has("access-control-request-method") || !this.allows(request)) {
      return undefined;
    }
    call.answers(0);
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

  /** Says in an answer whose pages may see it. */
  mark(request: Request, response: Response): Response {
    // An answer that is remembered is not that of another origin.
    response.headers.append("vary", "Origin");
    if (!this.allows(request)) return response;
    response.headers.set("access-control-allow-origin", request.headers.get("origin") ?? "");
    response.headers.set("access-control-expose-headers", EXPOSED);
    return response;
  }
}

/**
 * Gives the reason to refuse a request that a page of another origin sends (Fetch Standard 3.2, Fetch Metadata), else
 * undefined. Programs send neither field. A link to here that somebody follows passes.
 */
export function refuseForeign({ method, headers }: Pick<Request, "method" | "headers">): Refusal | undefined {
  const origin = headers.get("origin");
  if (origin !== null && !isOwn(origin, headers.get("host") ?? "")) {
    return { code: "foreign_origin", message: `check Origin: not this server: ${origin.slice(0, 255)}` };
  }
  const site = headers.get("sec-fetch-site");
  if (site !== "cross-site" && site !== "same-site") return undefined;
  const isVisit = (method === "GET" || method === "HEAD") && headers.get("sec-fetch-dest") === "document";
  return isVisit ? undefined : { code: "foreign_origin", message: `check Sec-Fetch-Site: ${site}` };
}

/** True if an Origin is that of the server under this Host. `null` is nobody's; several in one field are none. */
function isOwn(origin: string, host: string): boolean {
  const parsed = URL.parse(origin);
  if (parsed === null || parsed.origin !== origin.toLowerCase()) return false;
  return URL.parse(`${parsed.protocol}//${host}`)?.host === parsed.host;
}
