import type { Refusal } from "./problem.ts";

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
