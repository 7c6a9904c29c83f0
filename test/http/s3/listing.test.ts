import { Buffer } from "node:buffer";
import { afterAll, expect, test } from "bun:test";
import * as fc from "fast-check";
import { s3Refusal, s3Server, texts } from "./s3_server.ts";

const server = s3Server();
const { fetch } = server;
afterAll(() => server.stop());

const put = async (path: string) => {
  const response = await fetch(`/s3/${path}`, { method: "PUT", body: "x" });
  if (response.status !== 200) throw new Error(`store ${path}: ${response.status}`);
};
const list = async (bucket: string, query: Record<string, string> = {}) =>
  await (await fetch(`/s3/${bucket}?${new URLSearchParams(query)}`)).text();

/** All pages of a listing: its keys and its common prefixes. */
async function listAll(bucket: string, query: Record<string, string>, version: 1 | 2) {
  const keys: string[] = [];
  const prefixes: string[] = [];
  const sizes: number[] = [];
  let next: Record<string, string> = {};
  for (;;) {
    const page = await list(bucket, { ...(version === 2 ? { "list-type": "2" } : {}), ...query, ...next });
    const found = texts(page, "Key");
    const common = Array.from(page.matchAll(/<CommonPrefixes><Prefix>([^<]*)</g), ([, text]) => text ?? "");
    keys.push(...found);
    prefixes.push(...common);
    sizes.push(found.length + common.length);
    if (texts(page, "IsTruncated")[0] === "false") return { keys, prefixes, sizes };
    const marker = texts(page, version === 2 ? "NextContinuationToken" : "NextMarker")[0] ?? "";
    next = version === 2 ? { "continuation-token": marker } : { marker };
  }
}

test("ListObjectsV2 describes the objects of a bucket alone, in the order of their keys", async () => {
  for (const path of ["one/b", "one/a&<b>", "one2/c", "one/c/d"]) await put(path);
  const page = await list("one", { "list-type": "2" });
  expect(texts(page, "Key")).toEqual(["a&amp;&lt;b&gt;", "b", "c/d"]);
  expect(texts(page, "Size")).toEqual(["1", "1", "1"]);
  expect(texts(page, "ETag")).toEqual(Array.from({ length: 3 }, () => "&quot;9dd4e461268c8034f5c8564e155c67a6&quot;"));
  expect([texts(page, "Name"), texts(page, "KeyCount"), texts(page, "IsTruncated")]).toEqual([["one"], ["3"], [
    "false",
  ]]);
  expect(page).toContain('<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">');
  const encoded = await list("one", { "encoding-type": "url", delimiter: "&" });
  expect([texts(encoded, "Key"), texts(encoded, "Delimiter")]).toEqual([["b", "c/d"], ["%26"]]);
  expect(encoded).toContain("<CommonPrefixes><Prefix>a%26</Prefix></CommonPrefixes>");
});

test("ListObjects gives every key and common prefix once whatever pages it is read in", async () => {
  const segment = fc.stringMatching(/^[a-c/.-]{1,6}$/).filter((text) => !/(^|\/)\.{1,2}(\/|$)/.test(text));
  let bucket = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(segment, { minLength: 1, maxLength: 15 }),
      fc.record({
        prefix: fc.constantFrom("", "a", "a/", "b/", "/"),
        delimiter: fc.constantFrom("", "/", "-", "a/"),
        limit: fc.integer({ min: 1, max: 5 }),
        version: fc.constantFrom(1 as const, 2 as const),
      }),
      async (keys, { prefix, delimiter, limit, version }) => {
        const name = `property-${bucket++}`;
        for (const key of keys) await put(`${name}/${encodeURIComponent(key)}`);
        const found = await listAll(name, { prefix, delimiter, "max-keys": String(limit) }, version);
        const expectedKeys: string[] = [];
        const expectedPrefixes = new Set<string>();
        for (const key of keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) {
          if (!key.startsWith(prefix)) continue;
          const cut = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
          if (cut < 0) expectedKeys.push(key);
          else expectedPrefixes.add(key.slice(0, cut + delimiter.length));
        }
        expect(found.keys).toEqual(expectedKeys);
        expect(found.prefixes).toEqual([...expectedPrefixes]);
        expect(found.sizes.slice(0, -1).filter((size) => size !== limit)).toEqual([]);
      },
    ),
    { numRuns: 60 },
  );
});

test("ListObjects passes over a common prefix with many keys without reading it all in one page", async () => {
  for (let i = 0; i < 1100; i++) await put(`many/a/${i}`);
  await put("many/b");
  const page = await list("many", { delimiter: "/" });
  expect([texts(page, "Prefix"), texts(page, "Key")]).toEqual([["", "a/"], ["b"]]);
  const pages = await listAll("many", {}, 2);
  expect([pages.keys.length, pages.sizes]).toEqual([1101, [1000, 101]]);
});

test("ListObjects begins after the key that the query names", async () => {
  for (const key of ["a", "b", "c/d", "e"]) await put(`after/${key}`);
  expect(texts(await list("after", { "list-type": "2", "start-after": "a" }), "Key")).toEqual(["b", "c/d", "e"]);
  expect(texts(await list("after", { marker: "b" }), "Key")).toEqual(["c/d", "e"]);
  const inside = await list("after", { marker: "c/a", delimiter: "/" });
  expect([texts(inside, "Key"), inside.includes("CommonPrefixes")]).toEqual([["e"], false]);
  expect(texts(await list("after", { "max-keys": "0" }), "IsTruncated")).toEqual(["false"]);
  expect(await s3Refusal(await fetch("/s3/after?list-type=2&continuation-token=!"))).toEqual([400, "InvalidArgument"]);
  expect(await s3Refusal(await fetch("/s3/after?max-keys=-1"))).toEqual([400, "InvalidArgument"]);
  expect(await s3Refusal(await fetch("/s3/after?encoding-type=x"))).toEqual([400, "InvalidArgument"]);
});

test("ListBuckets names the first segments of all keys", async () => {
  const own = s3Server();
  for (const path of ["x/1", "x/2/3", "y/1"]) await own.fetch(`/s3/${path}`, { method: "PUT", body: "x" });
  await own.fetch("/v1/objects/without-a-slash", { method: "PUT", body: "x" });
  for (const path of ["/s3", "/s3/"]) expect(texts(await (await own.fetch(path)).text(), "Name")).toEqual(["x", "y"]);
  await own.stop();
});

test("a bucket is there before it has objects, and is deleted only without any", async () => {
  for (const method of ["HEAD", "PUT"]) expect((await fetch("/s3/fresh", { method })).status).toBe(200);
  expect(await (await fetch("/s3/fresh?location")).text()).toContain("<LocationConstraint");
  await put("fresh/k");
  expect(await s3Refusal(await fetch("/s3/fresh", { method: "DELETE" }))).toEqual([409, "BucketNotEmpty"]);
  await fetch("/s3/fresh/k", { method: "DELETE" });
  expect((await fetch("/s3/fresh/", { method: "DELETE" })).status).toBe(204);
});

test("DeleteObjects removes all keys that it names and answers for each", async () => {
  for (const key of ["a", "b&c"]) await put(`delete/${encodeURIComponent(key)}`);
  const remove = (body: string, headers: Record<string, string> = {}) =>
    fetch("/s3/delete?delete", { method: "POST", body, headers });
  const keys = "<Object><Key>a</Key></Object><Object><Key>b&amp;c</Key></Object><Object><Key>absent</Key></Object>";
  const xmlns = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';
  const answer = await (await remove(`<?xml version="1.0"?><Delete ${xmlns}>${keys}</Delete>`)).text();
  expect(texts(answer, "Key")).toEqual(["a", "b&amp;c", "absent"]);
  expect(texts(await list("delete"), "Key")).toEqual([]);
  const quiet = await (await remove(`<Delete>${keys}<Quiet>true</Quiet></Delete>`)).text();
  expect(quiet).toContain("<DeleteResult");
  expect(texts(quiet, "Key")).toEqual([]);
  const bad = [
    "",
    "<Delete></Delete>",
    "<Delete><Object>",
    `<Delete>${"<Object><Key>k</Key></Object>".repeat(1001)}</Delete>`,
    '<!DOCTYPE a [<!ENTITY e "a">]><Delete><Object><Key>&e;</Key></Object></Delete>',
    "<Delete><Object><Key>&e;</Key></Object></Delete>",
    `<Delete>${"<a>".repeat(20)}${"</a>".repeat(20)}</Delete>`,
  ];
  for (const body of bad) expect([body, ...await s3Refusal(await remove(body))]).toEqual([body, 400, "MalformedXML"]);
  expect(await s3Refusal(await remove("<Delete/>", { "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==" }))).toEqual([
    400,
    "BadDigest",
  ]);
});

test("a host of its own has the bucket at its root, or in its name", async () => {
  const hosted = s3Server({
    s3Hosts: [{ name: "s3.example.com", bucket: undefined }, { name: "kv.example.com", bucket: "kv" }],
  });
  const ask = (host: string, path: string, method = "GET", body = "") => {
    const socket = hosted.open();
    socket.write(
      `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    );
    return socket.response(method === "HEAD");
  };
  expect((await ask("s3.example.com:8080", "/b/one", "PUT", "1")).status).toBe(200);
  expect((await ask("b.s3.example.com", "/two", "PUT", "2")).status).toBe(200);
  expect((await ask("KV.example.com", "/dir/three", "PUT", "3")).status).toBe(200);
  for (const [key, text] of [["b/one", "1"], ["b/two", "2"], ["kv/dir/three", "3"]] as const) {
    expect([key, await (await hosted.fetch(`/v1/objects/${key}`)).text()]).toEqual([key, text]);
  }
  const listed = Buffer.from((await ask("kv.example.com", "/?list-type=2")).body).toString();
  expect(texts(listed, "Key")).toEqual(["dir/three"]);
  expect((await ask("kv.example.com", "/dir/three", "HEAD")).headers.get("content-length")).toBe("1");
  // There is nothing but S3 at these names.
  expect((await ask("kv.example.com", "/v1/objects/b/one", "HEAD")).status).toBe(404);
  expect((await ask("kv.example.com", "/dir/../x", "PUT")).status).toBe(400);
  expect(texts(Buffer.from((await ask("s3.example.com", "/")).body).toString(), "Name")).toEqual(["b", "kv"]);
  await hosted.stop();
});
