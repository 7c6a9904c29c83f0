/**
 * Limits of the wait for the rest of a body: in all, and without a byte of it, as nginx's lingering_time and
 * lingering_timeout.
 */
const LINGER_MS = 30_000;
const SILENCE_MS = 5_000;

/** Options of `afterBody`; the limits have defaults. */
export interface LingerOptions {
  readonly lingerMs?: number;
  readonly silenceMs?: number;
  /** Told of a chunk that is garbage now, and how much has come. */
  readonly discard: (chunk: Uint8Array, bodyBytes: number) => void;
}

/**
 * The answer once the rest of the request's body is read and thrown away. Bun closes a connection that is not kept
 * alive as soon as the answer is written: bytes that have arrived and are unread then make the kernel reset it, and the
 * client loses the answer (RFC 9112, 9.6). A client that asks for `100-continue` may wait for the answer before it
 * sends the body, so the answer comes at once unless the connection is to be closed.
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
    // The clock is asked too: timers wait for as long as there is always more to read.
    while (performance.now() < deadlineMs) {
      const next = await within(silenceMs, reader.read());
      if (next === undefined || next.done) return;
      bytes += next.value.byteLength;
      discard(next.value, bytes);
    }
  } catch {
    // The client has gone; nobody is left to lose the answer.
  } finally {
    reader.releaseLock();
  }
}

/** Undefined if it takes longer. */
async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), milliseconds);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
