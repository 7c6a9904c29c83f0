import { sha256 } from "../support/bytes.ts";
import type { Checks } from "../support/checks.ts";
import type { Client } from "../support/http/client.ts";
import { objectPath } from "../support/keys.ts";
import { Random } from "../support/random.ts";
import type { SourceObject } from "./source_objects.ts";

/** What must come back for a stored object. */
export interface StoredObject {
  readonly key: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly etag: string;
  /** A part of it, [start, end), and its digest. */
  readonly part: { readonly start: number; readonly end: number; readonly sha256: string };
}

/** Whom a pass talks to. */
export interface Pass {
  readonly client: Client;
  readonly checks: Checks;
}

const pieceBytes = 100_000;

/** In pieces, so that the request is chunked. */
function pieces(bytes: Uint8Array): readonly Uint8Array[] {
  const count = Math.ceil(bytes.byteLength / pieceBytes);
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * pieceBytes, (i + 1) * pieceBytes));
}

/**
 * PUTs an object; every tenth replaces another content of the same key, every fifth is chunked, every third carries its
 * digest.
 */
export async function storeObject(source: SourceObject, index: number, pass: Pass): Promise<StoredObject> {
  const random = new Random(index);
  const { key } = source;
  const { client, checks } = pass;
  const path = objectPath(key, index % 2 === 0 ? "plain" : "encoded");
  if (index % 10 === 3) {
    const { status } = await client.request({ method: "PUT", path, body: random.bytes(random.logUniform(1, 5000)) });
    checks.equal(`PUT ${key}, to be replaced`, { actual: status, expected: 201 });
  }
  const bytes = source.read();
  const digest = sha256(bytes);
  const { status, headers } = await client.request({
    method: "PUT",
    path,
    headers: index % 3 === 0 ? { "content-digest": `sha-256=:${digest}:` } : {},
    body: index % 5 === 1 ? pieces(bytes) : bytes,
  });
  checks.equal(`PUT ${key}`, { actual: status, expected: index % 10 === 3 ? 200 : 201 });
  if (index % 12 === 5) await storeAndDelete(`${key} (deleted)`, pass);
  if (index % 16 === 7) await refusedPuts(key, pass);
  const start = random.below(bytes.byteLength);
  const end = start + random.below(bytes.byteLength - start) + 1;
  return {
    key,
    sizeBytes: bytes.byteLength,
    sha256: digest,
    etag: headers.get("etag") ?? "",
    part: { start, end, sha256: sha256(bytes.subarray(start, end)) },
  };
}

/** An object that must not be there in the end. */
async function storeAndDelete(key: string, { client, checks }: Pass): Promise<void> {
  const path = objectPath(key);
  const statuses: number[] = [];
  const body = new TextEncoder().encode(key);
  for (const method of ["PUT", "GET", "DELETE", "GET", "HEAD", "DELETE"]) {
    statuses.push((await client.request({ method, path, ...(method === "PUT" ? { body } : {}) })).status);
  }
  checks.equal(`PUT, GET, DELETE, GET, HEAD, DELETE ${key}`, {
    actual: statuses,
    expected: [201, 200, 204, 404, 404, 404],
  });
}

/** PUTs that must leave the key as it was: failed preconditions, a wrong digest. */
async function refusedPuts(key: string, { client, checks }: Pass): Promise<void> {
  const body = new TextEncoder().encode("not the bytes of that digest");
  const wrongDigest = `sha-256=:${sha256(new Uint8Array())}:`;
  const cases = [
    { status: 412, headers: { "if-none-match": "*" }, body: new Uint8Array() },
    { status: 412, headers: { "if-match": '"another"' }, body: new Uint8Array() },
    { status: 400, headers: { "content-digest": wrongDigest }, body },
  ];
  for (const each of cases) {
    const { status } = await client.request({ method: "PUT", path: objectPath(key), ...each });
    checks.equal(`PUT ${key} with ${Object.keys(each.headers).join()}`, { actual: status, expected: each.status });
  }
}
