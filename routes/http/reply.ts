import { Buffer } from "node:buffer";
import type { Exchange } from "../exchange.ts";

/** Answers with text and counts its bytes. */
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

/** Answers with JSON and counts its bytes. */
export function replyJson(exchange: Exchange, value: unknown, status = 200): Response {
  return replyText(exchange, JSON.stringify(value), { type: "application/json", status });
}

/**
 * Counts the bytes of an endless body as they are read. A client that goes away completes it: the body has no length
 * that it could fall short of.
 */
export function countedBody(
  exchange: Exchange,
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let bytesSent = 0;
  let isOver = false;
  // A cancel also ends a pending read.
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
