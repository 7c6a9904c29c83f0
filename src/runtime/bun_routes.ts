import type { ExactPaths } from "./runtime.ts";

/** Paths with more segments are not checked. */
const MAX_SEGMENTS = 64;

/** A request that matched a route, with the segments of its path as sent, each percent-decoded. */
export type RoutedRequest = Request & { readonly params: Readonly<Record<string, string>> };

type Handler = (request: RoutedRequest) => Response | Promise<Response>;

/**
 * Routes for the requests whose path must be exact, one for each number of segments. Bun does not expose the request
 * target, only a URL in which dot segments and backslashes are resolved; but its router still sees the path as sent.
 */
export function exactRoutes(
  { prefix, methods }: ExactPaths,
  handler: Handler,
): Readonly<Record<string, Readonly<Record<string, Handler>>>> {
  const handlers = Object.fromEntries(methods.map((method) => [method, handler]));
  const paths = Array.from({ length: MAX_SEGMENTS }, (_, i) => Array.from({ length: i + 1 }, (_, j) => `:s${j}`));
  return Object.fromEntries(paths.map((segments) => [prefix + segments.join("/"), handlers]));
}

/** True if the URL of a request that matched a route differs from the path that was sent. */
export function isRewritten({ url, params }: RoutedRequest, { prefix }: ExactPaths): boolean {
  const path = pathIn(url);
  if (!path.startsWith(prefix)) return true;
  const rest = path.slice(prefix.length);
  try {
    return (rest.includes("%") ? decodeURIComponent(rest) : rest) !== Object.values(params).join("/");
  } catch {
    // Not UTF-8: the key is refused later for that reason.
    return false;
  }
}

/**
 * True if the URL of a request that matched no route must differ from the path that was sent, because it would have
 * matched one itself. This cannot be decided for paths with empty segments or too many.
 */
export function isRewrittenOffRoute({ url, method }: Request, { prefix, methods }: ExactPaths): boolean {
  if (!methods.includes(method)) return false;
  const path = pathIn(url);
  if (!path.startsWith(prefix)) return false;
  const segments = path.slice(prefix.length).split("/", MAX_SEGMENTS + 1);
  return segments.length <= MAX_SEGMENTS && !segments.includes("");
}

function pathIn(url: string): string {
  // Without a Host header, Bun's URL is the bare target as sent.
  const path = url.startsWith("/") ? url : url.slice(url.indexOf("/", url.indexOf("://") + 3));
  const end = path.search(/[?#]/);
  return end < 0 ? path : path.slice(0, end);
}
