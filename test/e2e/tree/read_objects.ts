import { sha256 } from "../support/bytes.ts";
import { objectPath } from "../support/keys.ts";
import type { Pass, StoredObject } from "./store_objects.ts";

type Read = (object: StoredObject, pass: Pass) => Promise<void>;

const readWhole: Read = async ({ key, ...object }, { client, checks }) => {
  const { status, headers, body } = await client.request({ method: "GET", path: objectPath(key) });
  checks.equal(`GET ${key}`, {
    actual: { status, etag: headers.get("etag"), sizeBytes: body.byteLength, sha256: sha256(body) },
    expected: { status: 200, etag: object.etag, sizeBytes: object.sizeBytes, sha256: object.sha256 },
  });
};

const readPart: Read = async ({ key, sizeBytes, part }, { client, checks }) => {
  if (sizeBytes === 0) return;
  const range = `bytes=${part.start}-${part.end - 1}`;
  const { status, headers, body } = await client.request({ method: "GET", path: objectPath(key), headers: { range } });
  checks.equal(`GET ${key} ${range}`, {
    actual: { status, contentRange: headers.get("content-range"), sha256: sha256(body) },
    expected: {
      status: 206,
      contentRange: `bytes ${part.start}-${part.end - 1}/${sizeBytes}`,
      sha256: part.sha256,
    },
  });
};

const readHead: Read = async ({ key, etag, sizeBytes }, { client, checks }) => {
  const { status, headers } = await client.request({ method: "HEAD", path: objectPath(key, "encoded") });
  checks.equal(`HEAD ${key}`, {
    actual: { status, etag: headers.get("etag"), length: headers.get("content-length") },
    expected: { status: 200, etag, length: String(sizeBytes) },
  });
};

const readUnchanged: Read = async ({ key, etag }, { client, checks }) => {
  const headers = { "if-none-match": etag };
  const { status } = await client.request({ method: "GET", path: objectPath(key), headers });
  checks.equal(`GET ${key} if it has changed`, { actual: status, expected: 304 });
};

const readBeyond: Read = async ({ key, sizeBytes }, { client, checks }) => {
  const headers = { range: `bytes=${sizeBytes}-` };
  const { status } = await client.request({ method: "GET", path: objectPath(key), headers });
  checks.equal(`GET ${key} beyond its end`, { actual: status, expected: 416 });
};

const readAbsent: Read = async ({ key }, { client, checks }) => {
  for (const method of ["GET", "HEAD"]) {
    const { status } = await client.request({ method, path: objectPath(`${key} (absent)`) });
    checks.equal(`${method} ${key} (absent)`, { actual: status, expected: 404 });
  }
};

/**
 * Reads an object back and compares it; some are also asked for their head, a part, a change, what lies beyond their
 * end, or under a key that is not there.
 */
export async function readObject(object: StoredObject, index: number, pass: Pass): Promise<void> {
  await readWhole(object, pass);
  if (index % 8 === 1) await readHead(object, pass);
  if (index % 8 === 2) await readPart(object, pass);
  if (index % 16 === 3) await readUnchanged(object, pass);
  if (index % 16 === 5) await readAbsent(object, pass);
  if (index % 64 === 6) await readBeyond(object, pass);
}
