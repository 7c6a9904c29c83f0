/** Scheme and authority of an absolute URL. A backslash ends it, as in the WHATWG URL standard. */
const AUTHORITY = /^https?:\/\/[^/?#\\]*/i;

/**
 * The request target of a request's URL in origin form: path and query, from the slash on. Undefined if there is none
 * (CONNECT, another scheme, a backslash in the host) or if it has a fragment, which RFC 9112, 3.2 does not know and
 * which would make one name of many. Bun's URL of a request without a usable Host is the bare target
 * (oven-sh/bun#33721), Deno's of an absolute target is that target, as it came.
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

/**
 * The path of a target as it stands there: Bun has resolved dot segments and backslashes in it, Deno has not
 * (docs/RUNTIMES.md).
 */
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

/** The keys of objects follow this in a path. */
export const OBJECTS = "/v1/objects/";

/** The name of the routes of one object. */
export const OBJECT_ROUTE = "/v1/objects/{key}";

/** The key in the path of an object as it was sent, percent-encoded; "" if the path is not one of an object. */
export function encodedKey(path: string): string {
  return path.startsWith(OBJECTS) ? path.slice(OBJECTS.length) : "";
}

/**
 * Hono's paths of a route that ends with a parameter of any characters, slashes included, or of none. (`.` would not
 * match U+2028, which Deno hands over unencoded.)
 */
export function restPaths(prefix: string, parameter: string): string[] {
  return [`${prefix}:${parameter}{[^]+}`, prefix];
}

/** The names of routes by Hono's paths: `/v1/objects/{key}` for both of `restPaths("/v1/objects/", "key")`. */
export function routeNames(paths: readonly string[]): ReadonlyMap<string, string> {
  const names = new Map(paths.map((path) => [path, path]));
  for (const path of paths) {
    const [prefix = "", parameter] = path.split(/:(\w+)/);
    if (parameter === undefined) continue;
    for (const each of [path, prefix]) names.set(each, `${prefix}{${parameter}}`);
  }
  return names;
}
