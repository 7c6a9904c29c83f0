import { within } from "../core/clock.ts";
import type { ExactPaths } from "./runtime.ts";

/** Paths with more segments are not checked. */
const MAX_SEGMENTS = 64;
/** The names of the routes' parameters. */
const PARAMETERS = Array.from({ length: MAX_SEGMENTS }, (_, i) => `s${i}`);

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
  const paths = PARAMETERS.map((_, last) => PARAMETERS.slice(0, last + 1).map((name) => `:${name}`));
  return Object.fromEntries(paths.map((segments) => [prefix + segments.join("/"), handlers]));
}

/** True if the URL of a request that matched a route differs from the path that was sent. */
export function isRewritten({ url, params }: Pick<RoutedRequest, "url" | "params">, { prefix }: ExactPaths): boolean {
  const path = pathIn(url);
  if (!path.startsWith(prefix)) return true;
  const rest = path.slice(prefix.length);
  try {
    return !consistsOf(rest.includes("%") ? decodeURIComponent(rest) : rest, params);
  } catch {
    // Not UTF-8: the key is refused later for that reason.
    return false;
  }
}

/** True if the path is the segments of the parameters with slashes between them. Copies nothing. */
function consistsOf(path: string, params: RoutedRequest["params"]): boolean {
  let at = -1;
  for (const name of PARAMETERS) {
    const segment = params[name];
    if (segment === undefined) break;
    if (at >= 0 && path[at] !== "/") return false;
    if (!path.startsWith(segment, at + 1)) return false;
    at += 1 + segment.length;
  }
  return at === path.length;
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

/**
 * Limits of the wait for the rest of a body, in total and without a byte; nginx's lingering_time and lingering_timeout.
 */
const LINGER_MS = 30_000;
const SILENCE_MS = 5_000;

/** Options of `afterBody`. */
export interface LingerOptions {
  readonly lingerMs?: number;
  readonly silenceMs?: number;
  /** Called with each chunk that is now garbage, and the bytes received so far. */
  readonly discard: (chunk: Uint8Array, bodyBytes: number) => void;
}

/**
 * Delays a response until the rest of the request's body has been read and discarded. Bun closes a connection that is
 * not kept alive as soon as the response is written. Unread bytes then make the kernel reset the connection, and the
 * client loses the response (RFC 9112, 9.6). A client that sends `Expect: 100-continue` may wait for the response
 * before it sends the body, so in that case the response is not delayed unless the connection is to be closed.
 */
export function afterBody(
  request: Request,
  response: Response | Promise<Response>,
  options: LingerOptions,
): Response | Promise<Response> {
  if (request.method === "GET" || request.method === "HEAD") return response;
  return response instanceof Promise
    ? response.then((made) => answered(request, made, options))
    : answered(request, response, options);
}

function answered(request: Request, response: Response, options: LingerOptions): Response | Promise<Response> {
  if (response.status < 400 && request.bodyUsed) return response;
  const { body, headers } = request;
  if (body === null || body.locked) return response;
  const closes = /\bclose\b/i.test(headers.get("connection") ?? "");
  if (headers.has("expect") && !closes) return response;
  return drain(body, options).then(() => response);
}

async function drain(
  body: ReadableStream<Uint8Array>,
  { lingerMs = LINGER_MS, silenceMs = SILENCE_MS, discard }: LingerOptions,
): Promise<void> {
  const reader = body.getReader();
  const deadlineMs = performance.now() + lingerMs;
  let bytes = 0;
  try {
    // Timers do not fire while there is always more to read, so the clock is checked as well.
    while (performance.now() < deadlineMs) {
      const next = await within(silenceMs, reader.read());
      if (next === undefined || next.done) return;
      bytes += next.value.byteLength;
      discard(next.value, bytes);
    }
  } catch {
    // The client is gone, so the response no longer matters.
  } finally {
    reader.releaseLock();
  }
}
