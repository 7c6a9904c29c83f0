import type { Call } from "../call.ts";

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
