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

/** Resolves with undefined if the promise takes longer. */
async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), milliseconds);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
