import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { afterAll, expect, test } from "bun:test";
import { pattern } from "../contract_client.ts";
import { s3Refusal, s3Server } from "./s3_server.ts";

const server = s3Server();
const { fetch } = server;
afterAll(() => server.stop());

const MIB = 1024 * 1024;
const md5 = (bytes: Uint8Array | string) => createHash("md5").update(bytes).digest("hex");

async function put(path: string, body: BodyInit, headers: Record<string, string> = {}): Promise<Response> {
  return await fetch(`/s3/b/${path}`, { method: "PUT", body, headers });
}

test("PUT /s3/{bucket}/{key} stores an object that /v1/objects/{bucket}/{key} reads, and the other way round", async () => {
  const stored = await put("dir/a%2Fb", "hello", { "content-type": "text/plain", "x-amz-meta-colour": "red" });
  expect([stored.status, stored.headers.get("etag")]).toEqual([200, `"${md5("hello")}"`]);
  const read = await fetch("/v1/objects/b/dir/a/b");
  expect([await read.text(), read.headers.get("content-type"), read.headers.get("vitrine-meta-colour")]).toEqual([
    "hello",
    "text/plain",
    "red",
  ]);
  expect([...read.headers.keys()].filter((name) => name.startsWith("x-"))).toEqual(["x-content-type-options"]);
  await fetch("/v1/objects/b/other", { method: "PUT", body: "world", headers: { "vitrine-meta-size": "big" } });
  const other = await fetch("/s3/b/other");
  expect([await other.text(), other.headers.get("x-amz-meta-size")]).toEqual(["world", "big"]);
});

test("GET /s3/{bucket}/{key} gives back the fields that the PUT had when they are kept", async () => {
  const fields = {
    "cache-control": "max-age=60, no-store",
    "content-disposition": 'inline; filename="a.txt"',
    "content-encoding": "aws-chunked, gzip",
    "content-language": "en",
    "content-type": "text/plain",
    "expires": "Thu, 01 Dec 2044 16:00:00 GMT",
    "x-amz-meta-mtime": "1500000000.25",
  };
  await put("fields", Buffer.from("hello"), fields);
  // `fetch` would decode the body.
  const { headers } = await fetch("/s3/b/fields", { method: "HEAD" });
  const found = Object.fromEntries(Object.keys(fields).map((name) => [name, headers.get(name)]));
  expect(found).toEqual({ ...fields, "content-encoding": "gzip" });
  expect(headers.get("content-length")).toBe("5");
  expect(headers.get("last-modified")).toBe(new Date(server.knobs.clock.nowMs()).toUTCString());
  expect(headers.get("x-amz-request-id")).toMatch(/^[0-9A-F]{16}$/);
});

test("GET /s3/{bucket}/{key} gives the bytes of a range when one is asked for", async () => {
  const bytes = pattern(200_000);
  await put("ranges", bytes);
  const cases = [
    ["bytes=0-8388607", 0, 200_000],
    ["bytes=-5", 199_995, 200_000],
    ["bytes=10-", 10, 200_000],
    ["bytes=3-4", 3, 5],
  ] as const;
  for (const [range, start, end] of cases) {
    const response = await fetch("/s3/b/ranges", { headers: { range } });
    expect([response.status, response.headers.get("content-range")]).toEqual([206, `bytes ${start}-${end - 1}/200000`]);
    expect(Buffer.compare(await response.bytes(), bytes.subarray(start, end))).toBe(0);
  }
  const outside = await fetch("/s3/b/ranges", { headers: { range: "bytes=200000-" } });
  expect(outside.headers.get("content-range")).toBe("bytes */200000");
  expect(await s3Refusal(outside)).toEqual([416, "InvalidRange"]);
});

test("GET /s3/{bucket}/{key} evaluates conditions by the MD5 and by the date", async () => {
  await put("conditions", "hello");
  const etag = `"${md5("hello")}"`;
  const before = new Date(server.knobs.clock.nowMs() - 60_000).toUTCString();
  const after = new Date(server.knobs.clock.nowMs() + 60_000).toUTCString();
  const cases: readonly (readonly [Record<string, string>, number])[] = [
    [{ "if-match": etag }, 200],
    [{ "if-match": md5("hello") }, 200],
    [{ "if-match": '"other"' }, 412],
    [{ "if-none-match": etag }, 304],
    [{ "if-none-match": '"other"' }, 200],
    [{ "if-modified-since": after }, 304],
    [{ "if-modified-since": before }, 200],
    [{ "if-unmodified-since": before }, 412],
    [{ "if-unmodified-since": before, "if-match": etag }, 200],
    [{ "if-unmodified-since": after }, 200],
  ];
  for (const [headers, status] of cases) {
    const response = await fetch("/s3/b/conditions", { headers });
    await response.arrayBuffer();
    expect([headers, response.status]).toEqual([headers, status]);
  }
});

test("PUT /s3/{bucket}/{key} is refused when its condition does not hold", async () => {
  const etag = (await put("once", "first", { "if-none-match": "*" })).headers.get("etag") ?? "";
  expect(await s3Refusal(await put("once", "second", { "if-none-match": "*" }))).toEqual([412, "PreconditionFailed"]);
  expect(await s3Refusal(await put("once", "second", { "if-match": '"0"' }))).toEqual([412, "PreconditionFailed"]);
  expect(await s3Refusal(await put("none", "second", { "if-match": '"0"' }))).toEqual([404, "NoSuchKey"]);
  expect((await put("once", "second", { "if-match": etag })).status).toBe(200);
  expect(await (await fetch("/s3/b/once")).text()).toBe("second");
});

test("GET /s3/{bucket}/{key} answers NoSuchKey when there is no such object, and HEAD 404 without a body", async () => {
  expect(await s3Refusal(await fetch("/s3/b/absent"))).toEqual([404, "NoSuchKey"]);
  const head = await fetch("/s3/b/absent", { method: "HEAD" });
  expect([head.status, await head.text()]).toEqual([404, ""]);
});

test("DELETE /s3/{bucket}/{key} answers 204 whether the object was there or not", async () => {
  await put("gone", "x");
  const statuses = [];
  for (let i = 0; i < 2; i++) statuses.push((await fetch("/s3/b/gone", { method: "DELETE" })).status);
  expect([...statuses, (await fetch("/s3/b/gone", { method: "HEAD" })).status]).toEqual([204, 204, 404]);
});

test("PUT /s3/{bucket}/{key} keeps slashes as they are, and decodes a key once", async () => {
  for (const [path, key] of [["/x//y/", "b//x//y/"], ["a%2525", "b/a%25"], ["p+q", "b/p+q"]] as const) {
    expect((await put(path, key)).status).toBe(200);
    expect(await (await fetch(`/v1/objects/${encodeURIComponent(key)}`)).text()).toBe(key);
    expect(await (await fetch(`/s3/b/${path}`)).text()).toBe(key);
  }
  for (const method of ["PUT", "DELETE"]) {
    const socket = server.open().write(
      `${method} /s3/b/../v1/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
    );
    expect((await socket.response()).status).toBe(400);
  }
});

test("PUT /s3/{bucket}/{key} verifies what the client says about the body and stores nothing when it is wrong", async () => {
  const good = {
    "content-md5": Buffer.from(md5("hello"), "hex").toString("base64"),
    "x-amz-checksum-crc32": "NhCmhg==",
    "x-amz-checksum-crc32c": "mnG7TA==",
    "x-amz-checksum-crc64nvme": "M3eFcAZSQlc=",
    "x-amz-checksum-sha1": createHash("sha1").update("hello").digest("base64"),
    "x-amz-checksum-sha256": createHash("sha256").update("hello").digest("base64"),
    "x-amz-content-sha256": createHash("sha256").update("hello").digest("hex"),
  };
  for (const [name, value] of Object.entries(good)) {
    const response = await put(`sum-${name}`, "hello", { [name]: value });
    expect([name, response.status]).toEqual([name, 200]);
    if (!name.startsWith("x-amz-checksum")) continue;
    expect([name, response.headers.get(name)]).toEqual([name, value]);
    const read = await fetch(`/s3/b/sum-${name}`, { headers: { "x-amz-checksum-mode": "ENABLED" } });
    expect([await read.text(), read.headers.get(name)]).toEqual(["hello", value]);
    const wrong = await put(`bad-${name}`, "hellO", { [name]: value });
    expect([name, ...await s3Refusal(wrong)]).toEqual([name, 400, "BadDigest"]);
    expect((await fetch(`/s3/b/bad-${name}`, { method: "HEAD" })).status).toBe(404);
  }
  const { "content-md5": contentMd5, "x-amz-content-sha256": sha } = good;
  expect(await s3Refusal(await put("bad", "x", { "content-md5": contentMd5 }))).toEqual([400, "BadDigest"]);
  expect(await s3Refusal(await put("bad", "x", { "content-md5": "AAAA" }))).toEqual([400, "InvalidDigest"]);
  expect(await s3Refusal(await put("bad", "x", { "x-amz-content-sha256": sha }))).toEqual([
    400,
    "XAmzContentSHA256Mismatch",
  ]);
  expect(await s3Refusal(await put("bad", "x", { "x-amz-checksum-crc32": "AAA=" }))).toEqual([400, "InvalidRequest"]);
  expect((await fetch("/s3/b/bad", { method: "HEAD" })).status).toBe(404);
  expect(server.storage.open.uploads).toBe(0);
});

test("PUT /s3/{bucket}/{key} takes the frames of aws-chunked away, with a checksum in the trailer", async () => {
  const bytes = pattern(300_000);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE((await import("node:zlib")).crc32(bytes));
  const frame = (end: string) =>
    Buffer.concat([
      Buffer.from("30000\r\n"),
      bytes.subarray(0, 0x30000),
      Buffer.from(`\r\n${(300_000 - 0x30000).toString(16)}\r\n`),
      bytes.subarray(0x30000),
      Buffer.from(`\r\n0\r\nx-amz-checksum-crc32:${end}\r\n\r\n`),
    ]);
  const headers = {
    "content-encoding": "aws-chunked",
    "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "x-amz-decoded-content-length": "300000",
    "x-amz-trailer": "x-amz-checksum-crc32",
  };
  const stored = await put("framed", frame(checksum.toString("base64")), headers);
  expect([stored.status, stored.headers.get("etag")]).toEqual([200, `"${md5(bytes)}"`]);
  const read = await fetch("/s3/b/framed", { headers: { "x-amz-checksum-mode": "ENABLED" } });
  expect(read.headers.get("content-encoding")).toBeNull();
  expect(read.headers.get("x-amz-checksum-crc32")).toBe(checksum.toString("base64"));
  expect(Buffer.compare(await read.bytes(), bytes)).toBe(0);
  expect(await s3Refusal(await put("unframed", frame("AAAAAA=="), headers))).toEqual([400, "BadDigest"]);
  expect(await s3Refusal(await put("unframed", frame("").subarray(0, -30), headers))).toEqual([400, "IncompleteBody"]);
  const { "x-amz-decoded-content-length": _, ...withoutLength } = headers;
  expect(await s3Refusal(await put("unframed", frame(""), withoutLength))).toEqual([411, "MissingContentLength"]);
  expect((await fetch("/s3/b/unframed", { method: "HEAD" })).status).toBe(404);
});

test("PUT /s3/{bucket}/{key} gives an object of every size its MD5 as the ETag", async () => {
  for (const size of [0, 1, 128 * 1024, 128 * 1024 + 1, 5 * MIB]) {
    const bytes = pattern(size);
    const response = await put("size", bytes);
    expect([size, response.headers.get("etag")]).toEqual([size, `"${md5(bytes)}"`]);
    const read = await fetch("/s3/b/size");
    expect([size, read.headers.get("etag"), md5(await read.bytes())]).toEqual([size, `"${md5(bytes)}"`, md5(bytes)]);
  }
  expect(await s3Refusal(await put("size", pattern(6 * MIB + 1)))).toEqual([400, "EntityTooLarge"]);
});

test("PUT /s3/{bucket}/{key} gives an ETag of the server's own when MD5 is turned off", async () => {
  const plain = s3Server({ s3Md5: false });
  const etag = (await plain.fetch("/s3/b/k", { method: "PUT", body: "x" })).headers.get("etag");
  expect(etag).toMatch(/^"[0-9a-f]{8}-[0-9a-z]+"$/);
  expect((await plain.fetch("/v1/objects/b/k", { method: "HEAD" })).headers.get("etag")).toBe(etag);
  await plain.stop();
});

test("PUT /s3/{bucket}/{key} with x-amz-copy-source stores the object once more", async () => {
  await put("from", "hello", { "content-type": "text/plain", "x-amz-meta-a": "1" });
  const copy = await put("to", "", { "x-amz-copy-source": "/b/from" });
  expect(await copy.text()).toContain(`<ETag>&quot;${md5("hello")}&quot;</ETag>`);
  const replaced = await put("to2", "", {
    "x-amz-copy-source": "b/from",
    "x-amz-metadata-directive": "REPLACE",
    "content-type": "text/css",
    "x-amz-meta-b": "2",
  });
  expect(replaced.status).toBe(200);
  const seen = [];
  for (const key of ["to", "to2"]) {
    const { headers } = await fetch(`/s3/b/${key}`, { method: "HEAD" });
    seen.push([headers.get("content-type"), headers.get("x-amz-meta-a"), headers.get("x-amz-meta-b")]);
  }
  expect(seen).toEqual([["text/plain", "1", null], ["text/css", null, "2"]]);
  expect(await s3Refusal(await put("to3", "", { "x-amz-copy-source": "b/absent" }))).toEqual([404, "NoSuchKey"]);
  const condition = { "x-amz-copy-source": "b/from", "x-amz-copy-source-if-none-match": `"${md5("hello")}"` };
  expect(await s3Refusal(await put("to3", "", condition))).toEqual([412, "PreconditionFailed"]);
  expect(server.storage.open).toEqual({ reads: 0, uploads: 0 });
});

test("GET /s3/{bucket}/{key} replaces fields when the query asks for it", async () => {
  await put("override", "x");
  const query = new URLSearchParams({
    "response-content-type": "text/plain",
    "response-content-disposition": 'attachment; filename="x.txt"',
  });
  const { headers } = await fetch(`/s3/b/override?${query}`);
  expect([headers.get("content-type"), headers.get("content-disposition")]).toEqual([
    "text/plain",
    'attachment; filename="x.txt"',
  ]);
});

test("operations that there are not are refused when a client asks for them", async () => {
  const refusals = await Promise.all([
    fetch("/s3/b/k?acl").then(s3Refusal),
    fetch("/s3/b?policy").then(s3Refusal),
    fetch("/s3/b/k?versionId=1").then(s3Refusal),
    put("k", "x", { "x-amz-server-side-encryption": "AES256" }).then(s3Refusal),
    put("k", "x", { "if-none-match": '"x"' }).then(s3Refusal),
    put("k", "x", { "x-amz-content-sha256": "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD" }).then(s3Refusal),
  ]);
  expect(refusals.filter(([status, code]) => status !== 501 || code !== "NotImplemented")).toEqual([]);
  expect(await s3Refusal(await fetch("/s3/-b/k"))).toEqual([400, "InvalidBucketName"]);
  expect(await s3Refusal(await fetch(`/s3/b/${"k".repeat(1023)}`))).toEqual([400, "KeyTooLongError"]);
  expect((await fetch(`/s3/b/${"k".repeat(1022)}`)).status).toBe(404);
  expect(await s3Refusal(await fetch("/s3/b/k", { method: "PATCH" }))).toEqual([405, "MethodNotAllowed"]);
});

test("requests are counted under the routes of S3", async () => {
  await put("counted", "x");
  server.events.clear();
  await (await fetch("/s3/b/counted")).text();
  await (await fetch("/s3/b?list-type=2")).text();
  const ends = server.events.named("http.request.end");
  expect(ends.map((end) => "route" in end && end.route)).toEqual(["/s3/{bucket}/{key}", "/s3/{bucket}"]);
});
