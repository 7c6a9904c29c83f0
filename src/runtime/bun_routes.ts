import type { ExactPaths } from "./runtime.ts";

/** Paths of more segments than this are not compared. */
const MAX_SEGMENTS = 64;

/** A request that came by a route, with the segments as they were sent, each percent-decoded. */
export type RoutedRequest = Request & { readonly params: Readonly<Record<string, string>> };

type Handler = (request: RoutedRequest) => Response | Promise<Response>;

/**
 * Bun gives no request target but a URL in which dot segments and backslashes are resolved; its router still sees what
 * was sent. So one route for each number of segments takes the requests whose path has to be exact.
 */
export function exactRoutes(
  { prefix, methods }: ExactPaths,
  handler: Handler,
): Readonly<Record<string, Readonly<Record<string, Handler>>>> {
  const handlers = Object.fromEntries(methods.map((method) => [method, handler]));
  const paths = Array.from({ length: MAX_SEGMENTS }, (_, i) => Array.from({ length: i + 1 }, (_, j) => `:s${j}`));
  return Object.fromEntries(paths.map((segments) => [prefix + segments.join("/"), handlers]));
}

/** True if the URL of a request that came by a route differs from the one that was sent. */
export function isRoutedElsewhere({ url, params }: RoutedRequest, { prefix }: ExactPaths): boolean {
  const path = pathIn(url);
  if (!path.startsWith(prefix)) return true;
  const rest = path.slice(prefix.length);
  try {
    return (rest.includes("%") ? decodeURIComponent(rest) : rest) !== Object.values(params).join("/");
  } catch {
    // Not UTF-8; the key is refused for that.
    return false;
  }
}

/**
 * True if the URL of a request that came by no route differs from the one that was sent, which would have come by one.
 * Where empty segments are left, or too many, nobody can tell.
 */
export function isStrayed({ url, method }: Request, { prefix, methods }: ExactPaths): boolean {
  if (!methods.includes(method)) return false;
  const path = pathIn(url);
  if (!path.startsWith(prefix)) return false;
  const segments = path.slice(prefix.length).split("/", MAX_SEGMENTS + 1);
  return segments.length <= MAX_SEGMENTS && !segments.includes("");
}

function pathIn(url: string): string {
  // Without a Host, Bun's URL is the bare target as it was sent.
  const path = url.startsWith("/") ? url : url.slice(url.indexOf("/", url.indexOf("://") + 3));
  const end = path.search(/[?#]/);
  return end < 0 ? path : path.slice(0, end);
}
