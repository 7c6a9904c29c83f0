import { Buffer } from "node:buffer";
import { VitrineError } from "../../src/core/errors.ts";
import { MAX_KEY_BYTES } from "../../src/core/object.ts";

/** Scheme and authority of an absolute URL. A backslash ends it, as in the WHATWG URL standard. */
const AUTHORITY = /^https?:\/\/[^/?#\\]*/i;

/**
 * The request target in a request's URL: path and query, as they were sent. Undefined if there is none (CONNECT,
 * another scheme, a backslash in the host), or if it has a fragment, which RFC 9112, 3.2 does not allow: without it,
 * several keys would be one. For a request without a usable Host, Bun's URL is the target alone (oven-sh/bun#33721);
 * for an absolute target, Deno's URL is that target.
 */
export function targetOf(url: string): string | undefined {
  if (url.includes("#")) return undefined;
  if (url.startsWith("/")) return url;
  // The usual case, without the expression.
  const path = url.startsWith("http://") ? url.indexOf("/", 7) : -1;
  if (path > 0 && isAfter(url.indexOf("?"), path) && isAfter(url.indexOf("\\"), path)) return url.slice(path);
  const authority = AUTHORITY.exec(url)?.[0];
  if (authority === undefined) return undefined;
  const target = url.slice(authority.length);
  if (target.startsWith("/")) return target;
  return target.startsWith("\\") ? undefined : `/${target}`;
}

function isAfter(index: number, other: number): boolean {
  return index < 0 || index > other;
}

/** The path of a target, percent-encoded. Bun has resolved dot segments and backslashes in it (docs/RUNTIMES.md). */
export function pathOf(target: string): string {
  const query = target.indexOf("?");
  return query < 0 ? target : target.slice(0, query);
}

/** The query of a request's URL. Never throws. */
export function queryOf(url: string): URLSearchParams {
  const target = targetOf(url) ?? "";
  const query = target.indexOf("?");
  return new URLSearchParams(query < 0 ? "" : target.slice(query));
}

/** The path in front of every key. */
export const OBJECTS = "/v1/objects/";

/** The route of one object, as metrics and the specification name it. */
export const OBJECT_ROUTE = "/v1/objects/{key}";

/** The path in front of every bucket. */
export const S3 = "/s3/";

/** True for a path of S3's interface. */
export function isS3(path: string): boolean {
  return path.startsWith(S3) || path === "/s3";
}

/** The key in the path of an object as it was sent, percent-encoded; "" if the path is not one of an object. */
export function encodedKey(path: string): string {
  return path.startsWith(OBJECTS) ? path.slice(OBJECTS.length) : "";
}

/** Parts of a path that the URL standard resolves or cuts off. */
const RESOLVABLE = /(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)|[\\#]/i;

/** The key in a path, percent-encoded. Throws bad_key. */
export function parseKey(encoded: string): string {
  // A client or a proxy may have meant, or may read, another key by such a path.
  if (RESOLVABLE.test(encoded)) {
    throw new VitrineError(
      "bad_key",
      "parse key: a dot segment, a backslash or a # in it: encode them, or the slash beside the dots",
    );
  }
  return checkKey(decode(encoded));
}

/** Returns the key. Throws bad_key. */
export function checkKey(key: string): string {
  if (key === "") throw new VitrineError("bad_key", "parse key: it is empty");
  // Bun replaces every byte that is not UTF-8 by this character, and so do encoders a lone surrogate: many keys would
  // become one.
  if (key.includes("\ufffd") || !key.isWellFormed()) {
    throw new VitrineError("bad_key", "parse key: U+FFFD, or bytes that are not UTF-8");
  }
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

/**
 * Hono's paths for a route whose last parameter takes any characters, slashes included, or none. (`.` would not match
 * U+2028, which Deno passes on unencoded.)
 */
export function restPaths(prefix: string, parameter: string): string[] {
  return [`${prefix}:${parameter}{[^]+}`, prefix];
}

/** Names for metrics, by Hono's paths: `/v1/objects/{key}` for both of `restPaths("/v1/objects/", "key")`. */
export function routeNames(paths: readonly string[]): ReadonlyMap<string, string> {
  const names = new Map(paths.map((path) => [path, path.replaceAll(/:(\w+)(?=\/)/g, "{$1}")]));
  for (const path of paths) {
    const [, prefix, parameter] = /^(.*):(\w+)(?:\{.*\})?$/.exec(path) ?? [];
    if (prefix === undefined || parameter === undefined) continue;
    const shown = prefix.replaceAll(/:(\w+)/g, "{$1}");
    for (const each of [path, prefix]) names.set(each, `${shown}{${parameter}}`);
  }
  return names;
}
