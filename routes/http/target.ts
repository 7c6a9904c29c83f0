/** Scheme and authority of an absolute URL. A backslash ends it, as in the WHATWG URL standard. */
const AUTHORITY = /^https?:\/\/[^/?#\\]*/i;

/**
 * The request target in a request's URL: path and query, as they were sent. Undefined if there is none (CONNECT,
 * another scheme, a backslash in the host), or if it has a fragment, which RFC 9112, 3.2 does not allow: without it,
 * several keys would be one. For a request without a usable Host, Bun's URL is the target alone (oven-sh/bun#33721);
 * for an absolute target, Deno's URL is that target.
 */
export function targetOf(url: string): string | undefined {
  if (url.includes("#")) return undefined;
  if (url.startsWith("/")) return url;
  const authority = AUTHORITY.exec(url)?.[0];
  if (authority === undefined) return undefined;
  const target = url.slice(authority.length);
  if (target.startsWith("/")) return target;
  return target.startsWith("\\") ? undefined : `/${target}`;
}

/** The path of a target, percent-encoded. Bun has resolved dot segments and backslashes in it (docs/RUNTIMES.md). */
export function pathOf(target: string): string {
  const query = target.indexOf("?");
  return query < 0 ? target : target.slice(0, query);
}

/** The query of a request's URL. Never throws. */
export function queryOf(url: string): URLSearchParams {
  const target = targetOf(url) ?? "";
  const query = target.indexOf("?");
  return new URLSearchParams(query < 0 ? "" : target.slice(query));
}

/** The path in front of every key. */
export const OBJECTS = "/v1/objects/";

/** The route of one object, as metrics and the specification name it. */
export const OBJECT_ROUTE = "/v1/objects/{key}";

/** The key in the path of an object as it was sent, percent-encoded; "" if the path is not one of an object. */
export function encodedKey(path: string): string {
  return path.startsWith(OBJECTS) ? path.slice(OBJECTS.length) : "";
}

/**
 * Hono's paths for a route whose last parameter takes any characters, slashes included, or none. (`.` would not match
 * U+2028, which Deno passes on unencoded.)
 */
export function restPaths(prefix: string, parameter: string): string[] {
  return [`${prefix}:${parameter}{[^]+}`, prefix];
}

/** Names for metrics, by Hono's paths: `/v1/objects/{key}` for both of `restPaths("/v1/objects/", "key")`. */
export function routeNames(paths: readonly string[]): ReadonlyMap<string, string> {
  const names = new Map(paths.map((path) => [path, path]));
  for (const path of paths) {
    const [prefix = "", parameter] = path.split(/:(\w+)/);
    if (parameter === undefined) continue;
    for (const each of [path, prefix]) names.set(each, `${prefix}{${parameter}}`);
  }
  return names;
}
