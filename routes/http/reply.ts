import { Buffer } from "node:buffer";
import type { Call } from "../call.ts";

/** A text answer whose bytes are counted. */
export function replyText(
  call: Call,
  text: string,
  options: { readonly type: string; readonly status?: number },
): Response {
  const bytes = Buffer.byteLength(text);
  call.answers(bytes);
  const headers = {
    "content-type": options.type,
    "content-length": String(bytes),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  };
  return new Response(text, { status: options.status ?? 200, headers });
}

/** A JSON answer whose bytes are counted. */
export function replyJson(call: Call, value: unknown, status = 200): Response {
  return replyText(call, JSON.stringify(value), { type: "application/json", status });
}
