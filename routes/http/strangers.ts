import { isIP, isIPv6 } from "node:net";
import type { Exchange, Refusal } from "../exchange.ts";

/** The parts of a Host field. */
export interface Host {
  /** In lower case; an IPv6 address in its brackets. */
  readonly name: string;
  /** The digits as sent; "" if the field has none. */
  readonly port: string;
}

/**
 * `uri-host [ ":" port ]` of RFC 9110, 7.2 and RFC 3986, 3.2.2. The alternatives exclude each other, so matching takes
 * linear time.
 */
const HOST = /^(?:\[([^[\]]+)\]|(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})+)(?::(\d*))?$/i;
const FUTURE_ADDRESS = /^v[\da-f]+\.[\w.~!$&'()*+,;=:-]+$/i;

/** Parses a Host field; undefined if it is malformed, which RFC 9112, 3.2 answers with 400. */
export function parseHost(field: string): Host | undefined {
  const match = HOST.exec(field);
  if (match === null) return undefined;
  const [, literal, port] = match;
  if (literal !== undefined && !isIPv6(literal) && !FUTURE_ADDRESS.test(literal)) return undefined;
  const name = port === undefined ? field : field.slice(0, -port.length - 1);
  return { name: name.toLowerCase(), port: port ?? "" };
}

/** The largest number of Host values remembered as allowed. */
const MAX_REMEMBERED = 64;

/**
 * Checks the Host of each request against DNS rebinding: a page can make its own name point to this server and then
 * read and clear it, if there are no tokens. Loopback names and addresses cannot be used for that.
 */
export class HostGate {
  readonly #names = new Set(["localhost"]);
  /** Each begins with a dot. */
  readonly #suffixes: string[] = [".localhost"];
  readonly #takesAny: boolean;
  /** Host values that were allowed before, so that most requests need one look-up. */
  readonly #remembered = new Set<string>();

  /**
   * `allowedHosts`: names in addition to loopback names and addresses; `*.name` is all names below it, `*` every name.
   */
  constructor(allowedHosts: readonly string[]) {
    this.#takesAny = allowedHosts.includes("*");
    for (const host of allowedHosts) {
      const name = host.toLowerCase();
      if (name.startsWith("*.")) this.#suffixes.push(name.slice(1));
      else this.#names.add(name);
    }
  }

  /**
   * The reason to refuse a request with this Host; undefined if the host is allowed, or the field is missing (HTTP/1.0
   * needs none, and browsers always send one).
   */
  refuse(field: string | null): Refusal | undefined {
    if (field === null || this.#remembered.has(field)) return undefined;
    const host = parseHost(field);
    if (host === undefined) return { code: "bad_request", message: "parse Host: not one host with or without a port" };
    if (!this.#allows(host.name.endsWith(".") ? host.name.slice(0, -1) : host.name)) {
      const message = `check Host: neither localhost, nor an address, nor one of --allowed-hosts: ${
        host.name.slice(0, 255)
      }`;
      return { code: "misdirected", message };
    }
    if (this.#remembered.size < MAX_REMEMBERED) this.#remembered.add(field);
    return undefined;
  }

  #allows(name: string): boolean {
    if (this.#takesAny || this.#names.has(name)) return true;
    if (isIP(name.startsWith("[") ? name.slice(1, -1) : name) !== 0) return true;
    return this.#suffixes.some((suffix) => name.endsWith(suffix) && name.length > suffix.length);
  }
}

/** The time for which a browser may remember the answer to a preflight. */
const MAX_AGE_SECONDS = "600";
const METHODS = "GET, HEAD, PUT, POST, DELETE";
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
