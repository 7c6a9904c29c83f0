import { Buffer } from "node:buffer";
import { VitrineError } from "../../src/core/errors.ts";
import type { Call } from "../call.ts";
import { MAX_KEY_BYTES, type ObjectKey } from "../../src/core/key.ts";
import { forbid } from "./admit.ts";

/** What the URL standard resolves or cuts off. */
const RESOLVABLE = /(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)|[\\#]/i;

/**
 * The object a call names in the rest of its path. Throws bad_key; forbidden if it is not one of those that the call's
 * token is for.
 */
export function parseObjectKey(call: Call, request: Request): ObjectKey {
  const key = parseKey(call.located.parameter);
  if (!key.startsWith(call.grant.prefix)) forbid(call, request);
  const object = { tenant: call.tenant, key };
  return call.requestId === undefined ? object : { ...object, requestId: call.requestId };
}

function parseKey(encodedKey: string): string {
  if (encodedKey === "") throw new VitrineError("bad_key", "parse key: it is empty");
  // Others might take such a path for that of another key, or for a part of it: nobody is to guess.
  if (RESOLVABLE.test(encodedKey)) {
    throw new VitrineError(
      "bad_key",
      "parse key: a dot segment, a backslash or a # in it: encode them, or the slash beside the dots",
    );
  }
  const key = decode(encodedKey);
  // Bun writes this character for every byte of a request line that is no UTF-8: many names would become one.
  if (key.includes("\ufffd")) throw new VitrineError("bad_key", "parse key: U+FFFD, or bytes that are not UTF-8");
  // A UTF-16 unit takes at most three bytes.
  if (key.length * 3 > MAX_KEY_BYTES && Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new VitrineError("bad_key", `parse key: longer than ${MAX_KEY_BYTES} bytes`);
  }
  return key;
}

function decode(encodedKey: string): string {
  if (!encodedKey.includes("%")) return encodedKey;
  try {
    return decodeURIComponent(encodedKey);
  } catch (cause) {
    throw new VitrineError("bad_key", "parse key: not percent-encoded UTF-8", { cause });
  }
}
