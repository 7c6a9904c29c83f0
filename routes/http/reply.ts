import { Buffer } from "node:buffer";
import type { RouteContext } from "../route.ts";

/** A text answer whose bytes are counted. */
export function replyText(
  c: RouteContext,
  text: string,
  options: { readonly type: string; readonly status?: number },
): Response {
  const bytes = Buffer.byteLength(text);
  c.env.answers(bytes);
  const headers = { "content-type": options.type, "content-length": String(bytes), "cache-control": "no-store" };
  return new Response(text, { status: options.status ?? 200, headers });
}

/** A JSON answer whose bytes are counted. */
export function replyJson(c: RouteContext, value: unknown, status = 200): Response {
  return replyText(c, JSON.stringify(value), { type: "application/json", status });
}
