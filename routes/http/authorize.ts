import { createHash, timingSafeEqual } from "node:crypto";
import { VitrineError } from "../../src/core/errors.ts";

/**
 * Throws VitrineError (unauthorized) unless the request brings the token as a bearer. How long it takes tells nothing
 * of the token.
 */
export function authorize(request: Request, token: string): void {
  const [, given] = /^bearer +(.+)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
  if (given === undefined) throw new VitrineError("unauthorized", "authorize: no bearer token in Authorization");
  if (!timingSafeEqual(digest(given), digest(token))) {
    throw new VitrineError("unauthorized", "authorize: another token");
  }
}

function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
