import { VitrineError } from "../../core/errors.ts";

/** The members of a reply that is a list. Throws tier_failed if it is none. */
export function listOf(reply: unknown): readonly unknown[] {
  if (Array.isArray(reply)) return reply;
  throw unexpected(reply);
}

/**
 * The bytes of a reply in memory of their own, undefined if there are none. Small ones come as parts of larger memory,
 * which others are still to be read from. Throws tier_failed if it is something else.
 */
export function bytesOf(reply: unknown): Buffer | undefined {
  if (reply === null || reply === undefined) return undefined;
  if (!Buffer.isBuffer(reply)) throw unexpected(reply);
  if (reply.length === reply.buffer.byteLength) return reply;
  const own = Buffer.from(new ArrayBuffer(reply.length));
  own.set(reply);
  return own;
}

/** A reply as text, "" if there is none. */
export function textOf(reply: unknown): string {
  if (reply === null || reply === undefined) return "";
  if (typeof reply === "string" || typeof reply === "number") return String(reply);
  if (Buffer.isBuffer(reply)) return reply.toString("utf8");
  throw unexpected(reply);
}

function unexpected(reply: unknown): VitrineError {
  return new VitrineError("tier_failed", `Reading a reply of the engine: unexpected ${typeof reply}`);
}
