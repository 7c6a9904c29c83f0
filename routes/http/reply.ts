import { Buffer } from "node:buffer";
import type { Exchange } from "../exchange.ts";

/** A text answer whose bytes are counted. */
export function replyText(
  exchange: Exchange,
  text: string,
  options: { readonly type: string; readonly status?: number },
): Response {
  const bytes = Buffer.byteLength(text);
  exchange.answers(bytes);
  const headers = {
    "content-type": options.type,
    "content-length": String(bytes),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  };
  return new Response(text, { status: options.status ?? 200, headers });
}

/** A JSON answer whose bytes are counted. */
export function replyJson(exchange: Exchange, value: unknown, status = 200): Response {
  return replyText(exchange, JSON.stringify(value), { type: "application/json", status });
}

/**
 * An endless body, its bytes counted as it is read. A client that goes away ends it as well as its own end does: it has
 * no length to fall short of.
 */
export function countedBody(
  exchange: Exchange,
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let bytesSent = 0;
  let isOver = false;
  // A cancel ends the read that waits, too.
  const over = (outcome: "complete" | "aborted") => {
    if (!isOver) exchange.bodyEnded({ outcome, bytesSent });
    isOver = true;
  };
  exchange.endlessBodyFollows();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) {
          bytesSent += value.byteLength;
          return controller.enqueue(value);
        }
      } catch (error) {
        over("aborted");
        throw error;
      }
      if (isOver) return;
      over("complete");
      controller.close();
    },
    cancel(reason) {
      over("complete");
      return reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
}
