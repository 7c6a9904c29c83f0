import { VitrineError } from "../../core/errors.ts";

/** Returns the members of a list. Throws tier_failed if the reply is not one. */
export function listOf(reply: unknown): readonly unknown[] {
  if (Array.isArray(reply)) return reply;
  throw unexpected(reply);
}

/**
 * Returns the bytes of a reply in their own memory; undefined if there are none. Small replies are copied, because they
 * share a larger buffer with data that is still to be read. Throws tier_failed for any other reply.
 */
export function bytesOf(reply: unknown): Buffer | undefined {
  if (reply === null || reply === undefined) return undefined;
  if (!Buffer.isBuffer(reply)) throw unexpected(reply);
  if (reply.length === reply.buffer.byteLength) return reply;
  const own = Buffer.from(new ArrayBuffer(reply.length));
  own.set(reply);
  return own;
}

/** Returns a reply as text; "" if there is none. */
export function textOf(reply: unknown): string {
  if (reply === null || reply === undefined) return "";
  if (typeof reply === "string" || typeof reply === "number") return String(reply);
  if (Buffer.isBuffer(reply)) return reply.toString("utf8");
  throw unexpected(reply);
}

function unexpected(reply: unknown): VitrineError {
  return new VitrineError("tier_failed", `read engine reply: unexpected ${typeof reply}`);
}
