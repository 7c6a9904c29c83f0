import { isIP } from "node:net";
import type { Refusal } from "./problem.ts";

/** Most authorities that are remembered as allowed. */
const MAX_REMEMBERED = 64;

/** What a request is, beside what it says. */
export interface Visit {
  /** The absolute URL; `/…` where no host is known. */
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
}

/**
 * Keeps the pages of strangers out of a server without tokens: a name that points here by DNS rebinding, and what a page of another origin sends
 * through its visitor's browser. Programs send no Origin and pass.
 */
export class Gate {
  readonly #names = new Set<string>();
  /** Each begins with a dot. */
  readonly #suffixes: string[] = [".localhost"];
  readonly #takesAny: boolean;
  /** Authorities that were allowed, so that the next request pays for one look into a set. */
  readonly #remembered = new Set<string>();

  /** `allowedHosts`: names beside the loopback's and addresses; `*.` before one stands for all below it, `*` alone for every name. */
  constructor(allowedHosts: readonly string[]) {
    this.#takesAny = allowedHosts.includes("*");
    for (const host of allowedHosts) {
      const name = host.toLowerCase();
      if (name.startsWith("*.")) this.#suffixes.push(name.slice(1));
      else this.#names.add(name);
    }
  }

  /** Why the request is refused; undefined if its host is one of ours. */
  refuseHost({ url, headers }: Pick<Visit, "url" | "headers">): Refusal | undefined {
    const authority = authorityOf(url);
    if (this.#remembered.has(authority)) return undefined;
    // Without a host there is no name that could point here; no browser sends such a request.
    if (authority === "" && (headers.get("host") ?? "") === "") return undefined;
    const name = hostOf(authority);
    if (name !== undefined && this.#allows(name)) {
      if (this.#remembered.size < MAX_REMEMBERED) this.#remembered.add(authority);
      return undefined;
    }
    const shown = authority === "" ? headers.get("host") ?? "" : authority;
    return {
      code: "misdirected",
      message: `check Host: neither a loopback name, nor an address, nor one of --allowed-hosts: ${shown.slice(0, 255)}`,
    };
  }

  /** Why the request is refused; undefined unless it comes from the page of another origin. */
  refuseOrigin({ url, method, headers }: Visit): Refusal | undefined {
    const origin = headers.get("origin");
    if (origin !== null && !isOwn(origin, authorityOf(url))) {
      return { code: "foreign_origin", message: `check Origin: not this server: ${origin.slice(0, 255)}` };
    }
    const site = headers.get("sec-fetch-site");
    if (site !== "cross-site" && site !== "same-site") return undefined;
    // A link that somebody follows.
    const isVisit = (method === "GET" || method === "HEAD") && headers.get("sec-fetch-dest") === "document";
    return isVisit ? undefined : { code: "foreign_origin", message: `check Sec-Fetch-Site: ${site}` };
  }

  #allows(name: string): boolean {
    if (this.#takesAny || name === "localhost" || this.#names.has(name)) return true;
    if (isIP(name.startsWith("[") ? name.slice(1, -1) : name) !== 0) return true;
    return this.#suffixes.some((suffix) => name.endsWith(suffix));
  }
}

/** Host and port of an absolute URL as they stand in it; "" if it has none. */
function authorityOf(url: string): string {
  const mark = url.indexOf("://");
  if (mark < 0) return "";
  const end = url.indexOf("/", mark + 3);
  return end < 0 ? url.slice(mark + 3) : url.slice(mark + 3, end);
}

/** The name or address in an authority, as the URL standard writes it, without the root's dot; undefined if it is none. */
function hostOf(authority: string): string | undefined {
  const parsed = /^[^\s/?#@\\]+$/.test(authority) ? URL.parse(`http://${authority}`) : null;
  if (parsed === null) return undefined;
  return parsed.hostname.endsWith(".") ? parsed.hostname.slice(0, -1) : parsed.hostname;
}

/** Whether an Origin is that of the server under `authority`. `null` is nobody's; several in one field are none. */
function isOwn(origin: string, authority: string): boolean {
  const parsed = URL.parse(origin);
  if (parsed === null || parsed.origin !== origin.toLowerCase()) return false;
  return URL.parse(`${parsed.protocol}//${authority}`)?.host === parsed.host;
}
