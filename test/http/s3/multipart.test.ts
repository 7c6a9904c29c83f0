import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { afterAll, expect, test } from "bun:test";
import * as fc from "fast-check";
import { pattern } from "../contract_client.ts";
import { s3Refusal, s3Server, testPair, texts } from "./s3_server.ts";

const server = s3Server();
const { fetch } = server;
afterAll(() => server.stop());

const KIB = 1024;
const md5 = (bytes: Uint8Array) => createHash("md5").update(bytes).digest();

async function create(path: string, headers: Record<string, string> = {}): Promise<string> {
  const answer = await (await fetch(`/s3/${path}?uploads`, { method: "POST", headers })).text();
  return texts(answer, "UploadId")[0] ?? "";
}

function putPart(path: string, id: string, number: number | string, body: BodyInit, headers = {}): Promise<Response> {
  return fetch(`/s3/${path}?partNumber=${number}&uploadId=${id}`, { method: "PUT", body, headers });
}

function complete(
  path: string,
  id: string,
  parts: readonly (readonly [number: number, etag: string])[],
  headers = {},
): Promise<Response> {
  const body = parts.map(([number, etag]) =>
    `<Part><PartNumber>${number}</PartNumber><ETag>${etag.replaceAll('"', "&quot;")}</ETag></Part>`
  );
  return fetch(`/s3/${path}?uploadId=${id}`, {
    method: "POST",
    body: `<CompleteMultipartUpload>${body.join("")}</CompleteMultipartUpload>`,
    headers,
  });
}

test("an upload in parts is one object with the ETag that S3 gives it once it is complete", async () => {
  const path = "b/whole";
  const bytes = pattern(900 * KIB);
  const pieces = [bytes.subarray(0, 500 * KIB), bytes.subarray(500 * KIB)];
  const id = await create(path, { "content-type": "text/plain", "x-amz-meta-a": "1", "cache-control": "no-cache" });
  // In any order, and at the same time.
  const [second, first] = await Promise.all([
    putPart(path, id, 2, pieces[1] ?? ""),
    putPart(path, id, 1, pieces[0] ?? ""),
  ]);
  const etags = [first, second].map(({ headers }) => headers.get("etag") ?? "");
  expect(etags).toEqual(pieces.map((piece) => `"${md5(piece).toString("hex")}"`));
  expect((await fetch(`/s3/${path}`, { method: "HEAD" })).status).toBe(404);
  expect(texts(await (await fetch("/s3/b?list-type=2")).text(), "Key")).toEqual([]);
  const done = await (await complete(path, id, [[1, etags[0] ?? ""], [2, etags[1] ?? ""]])).text();
  const etag = `${md5(Buffer.concat(pieces.map(md5))).toString("hex")}-2`;
  expect([texts(done, "ETag"), texts(done, "Bucket"), texts(done, "Key")]).toEqual([[`&quot;${etag}&quot;`], ["b"], [
    "whole",
  ]]);
  const read = await fetch(`/s3/${path}`);
  const { headers } = read;
  expect(["etag", "content-type", "x-amz-meta-a", "cache-control"].map((name) => headers.get(name))).toEqual([
    `"${etag}"`,
    "text/plain",
    "1",
    "no-cache",
  ]);
  expect(Buffer.compare(await read.bytes(), bytes)).toBe(0);
  // Its parts are gone, and the upload too.
  expect(await s3Refusal(await fetch(`/s3/${path}?uploadId=${id}`))).toEqual([404, "NoSuchUpload"]);
  expect((await server.storage.status()).l1.objects).toBe(1);
  expect(server.storage.open).toEqual({ reads: 0, uploads: 0 });
});

test("CompleteMultipartUpload is refused, and the old object stays, when a part is not the one that is named", async () => {
  const path = "b/kept";
  await fetch(`/s3/${path}`, { method: "PUT", body: "old" });
  const id = await create(path);
  const etag = (await putPart(path, id, 3, "new")).headers.get("etag") ?? "";
  const cases: readonly (readonly [readonly (readonly [number, string])[], string])[] = [
    [[[3, '"0"']], "InvalidPart"],
    [[[1, etag]], "InvalidPart"],
    [[[3, etag], [3, etag]], "InvalidPartOrder"],
    [[[3, etag], [2, etag]], "InvalidPartOrder"],
    [[], "MalformedXML"],
  ];
  for (const [parts, code] of cases) expect(await s3Refusal(await complete(path, id, parts))).toEqual([400, code]);
  expect(await s3Refusal(await complete(path, id, [[3, etag]], { "if-none-match": "*" }))).toEqual([
    412,
    "PreconditionFailed",
  ]);
  const wrong = { "x-amz-checksum-type": "FULL_OBJECT", "x-amz-checksum-crc32": "AAAAAA==" };
  expect(await s3Refusal(await complete(path, id, [[3, etag]], wrong))).toEqual([400, "BadDigest"]);
  expect(await (await fetch(`/s3/${path}`)).text()).toBe("old");
  expect((await complete(path, id, [[3, etag.replaceAll('"', "")]])).status).toBe(200);
  expect(await (await fetch(`/s3/${path}`)).text()).toBe("new");
});

test("a part is verified like a whole object, and one with the same number replaces it", async () => {
  const path = "b/part";
  const id = await create(path);
  const headers = { "x-amz-checksum-crc32": "NhCmhg==" };
  const stored = await putPart(path, id, 1, "hello", headers);
  expect([stored.status, stored.headers.get("x-amz-checksum-crc32")]).toEqual([200, "NhCmhg=="]);
  expect(await s3Refusal(await putPart(path, id, 1, "hellO", headers))).toEqual([400, "BadDigest"]);
  for (const number of [0, 10_001, "x"]) {
    expect(await s3Refusal(await putPart(path, id, number, "x"))).toEqual([400, "InvalidArgument"]);
  }
  await putPart(path, id, 10_000, "x");
  await putPart(path, id, 1, "other");
  const listed = await (await fetch(`/s3/${path}?uploadId=${id}`)).text();
  expect([texts(listed, "PartNumber"), texts(listed, "Size")]).toEqual([["1", "10000"], ["5", "1"]]);
  const one = await (await fetch(`/s3/${path}?uploadId=${id}&max-parts=1`)).text();
  expect([texts(one, "PartNumber"), texts(one, "NextPartNumberMarker"), texts(one, "IsTruncated")]).toEqual([
    ["1"],
    ["1"],
    ["true"],
  ]);
  const rest = await (await fetch(`/s3/${path}?uploadId=${id}&part-number-marker=1`)).text();
  expect(texts(rest, "PartNumber")).toEqual(["10000"]);
});

test("an upload is one of its own object and tenant, and ends when it is aborted", async () => {
  const id = await create("b/mine");
  for (const path of ["b/other", "c/mine"]) {
    expect(await s3Refusal(await putPart(path, id, 1, "x"))).toEqual([404, "NoSuchUpload"]);
  }
  const elsewhere = await fetch(`/s3/b/mine?partNumber=1&uploadId=${id}`, {
    method: "PUT",
    body: "x",
    headers: { "vitrine-tenant": "other" },
  });
  expect(await s3Refusal(elsewhere)).toEqual([404, "NoSuchUpload"]);
  expect(await s3Refusal(await putPart("b/mine", "x", 1, "x"))).toEqual([404, "NoSuchUpload"]);
  const before = (await server.storage.status()).l1.objects;
  await putPart("b/mine", id, 1, "x");
  expect((await fetch(`/s3/b/mine?uploadId=${id}`, { method: "DELETE" })).status).toBe(204);
  expect((await server.storage.status()).l1.objects).toBe(before - 1);
  expect(await s3Refusal(await putPart("b/mine", id, 1, "x"))).toEqual([404, "NoSuchUpload"]);
});

test("a forgotten upload expires after a day", async () => {
  const own = s3Server();
  const { advance } = own.fixture({ fetch: own.fetch, overSockets: true });
  const answer = await (await own.fetch("/s3/b/k?uploads", { method: "POST" })).text();
  const [id] = texts(answer, "UploadId");
  const put = () => own.fetch(`/s3/b/k?partNumber=1&uploadId=${id}`, { method: "PUT", body: "x" });
  advance?.(24 * 3600 * 1000 - 1);
  expect((await put()).status).toBe(200);
  advance?.(1);
  expect(await s3Refusal(await put())).toEqual([404, "NoSuchUpload"]);
  await own.stop();
});

test("UploadPartCopy takes a range of an object as a part", async () => {
  await fetch("/s3/b/source", { method: "PUT", body: "0123456789" });
  const id = await create("b/copied");
  const copy = async (number: number, headers: Record<string, string>) => {
    const answer = await putPart("b/copied", id, number, "", { "x-amz-copy-source": "/b/source", ...headers });
    return (await answer.text()).match(/<ETag>&quot;(\w+)&quot;/)?.[1] ?? "";
  };
  const etags = [await copy(1, { "x-amz-copy-source-range": "bytes=2-4" }), await copy(2, {})];
  await complete("b/copied", id, [[1, etags[0] ?? ""], [2, etags[1] ?? ""]]);
  expect(await (await fetch("/s3/b/copied")).text()).toBe("2340123456789");
  const outside = { "x-amz-copy-source": "/b/source", "x-amz-copy-source-range": "bytes=20-30" };
  expect(await s3Refusal(await putPart("b/copied", await create("b/copied"), 1, "", outside))).toEqual([
    400,
    "InvalidArgument",
  ]);
});

test("a token that may only create completes an upload once", async () => {
  const creator = testPair("creator", { scopes: ["read", "create-only"] });
  const own = s3Server({ tokens: [creator.entry] });
  const statuses = [];
  for (let i = 0; i < 2; i++) {
    const created = await own.signed(creator, "/s3/b/k?uploads", { method: "POST" });
    const [id] = texts(await created.text(), "UploadId");
    const part = await own.signed(creator, `/s3/b/k?partNumber=1&uploadId=${id}`, { method: "PUT", body: "x" });
    const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${
      part.headers.get("etag")
    }</ETag></Part></CompleteMultipartUpload>`;
    statuses.push((await own.signed(creator, `/s3/b/k?uploadId=${id}`, { method: "POST", body })).status);
  }
  expect(statuses).toEqual([200, 412]);
  await own.stop();
});

test("uploads in parts of any sizes give the bytes of the parts that are named, in order", async () => {
  let count = 0;
  const parts = fc.uniqueArray(fc.record({ number: fc.integer({ min: 1, max: 10_000 }), size: fc.nat(70_000) }), {
    selector: ({ number }) => number,
    minLength: 1,
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(parts, fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }), async (all, named) => {
      const path = `b/property-${count++}`;
      const id = await create(path);
      const stored = await Promise.all(all.map(async ({ number, size }, index) => {
        const bytes = pattern(size).map((byte) => byte ^ index);
        const etag = (await putPart(path, id, number, bytes)).headers.get("etag") ?? "";
        return { number, bytes, etag, isNamed: index === 0 || named[index] === true };
      }));
      const chosen = stored.filter(({ isNamed }) => isNamed).toSorted((a, b) => a.number - b.number);
      const done = await complete(path, id, chosen.map(({ number, etag }) => [number, etag]));
      expect(done.status).toBe(200);
      const expected = Buffer.concat(chosen.map(({ bytes }) => bytes));
      expect(Buffer.compare(await (await fetch(`/s3/${path}`)).bytes(), expected)).toBe(0);
    }),
    { numRuns: 20 },
  );
});
