import { Buffer } from "node:buffer";
import { VitrineError } from "../../src/core/errors.ts";
import type { Exchange } from "../exchange.ts";
import { MAX_KEY_BYTES, type ObjectKey } from "../../src/core/key.ts";
import { forbid } from "./access.ts";
import { encodedKey } from "./target.ts";

/** Parts of a path that the URL standard resolves or cuts off. */
const RESOLVABLE = /(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)|[\\#]/i;

/** The object that the path of a request names. Throws bad_key; forbidden if the token is for other keys. */
export function parseObjectKey(exchange: Exchange, request: Request): ObjectKey {
  const key = parseKey(encodedKey(exchange.path));
  if (!key.startsWith(exchange.grant.prefix)) forbid(exchange, request);
  const object = { tenant: exchange.tenant, key };
  return exchange.requestId === undefined ? object : { ...object, requestId: exchange.requestId };
}

function parseKey(encoded: string): string {
  if (encoded === "") throw new VitrineError("bad_key", "parse key: it is empty");
  // A client or a proxy may have meant, or may read, another key by such a path.
  if (RESOLVABLE.test(encoded)) {
    throw new VitrineError(
      "bad_key",
      "parse key: a dot segment, a backslash or a # in it: encode them, or the slash beside the dots",
    );
  }
  const key = decode(encoded);
  // Bun replaces every byte that is not UTF-8 by this character: many keys would become one.
  if (key.includes("\ufffd")) throw new VitrineError("bad_key", "parse key: U+FFFD, or bytes that are not UTF-8");
  // A UTF-16 unit takes at most three bytes.
  if (key.length * 3 > MAX_KEY_BYTES && Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new VitrineError("bad_key", `parse key: longer than ${MAX_KEY_BYTES} bytes`);
  }
  return key;
}

function decode(encoded: string): string {
  if (!encoded.includes("%")) return encoded;
  try {
    return decodeURIComponent(encoded);
  } catch (cause) {
    throw new VitrineError("bad_key", "parse key: not percent-encoded UTF-8", { cause });
  }
}
