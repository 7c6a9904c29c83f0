import { expect } from "bun:test";
import { gzipSync } from "node:zlib";
import { MAX_KEPT_HEADER_BYTES, MAX_KEPT_HEADERS } from "../../../src/core/object.ts";
import { type ContractCase, pattern, refusal } from "../contract_client.ts";

/** Headers of a PUT, and their values in the answers; null: not sent. */
const kept: readonly (readonly [header: string, given: string, sent: string | null])[] = [
  ["content-encoding", "x-test", "x-test"],
  ["content-encoding", "X-One , x-two", "x-one, x-two"],
  ["content-encoding", ", x-test,,", "x-test"],
  ["content-encoding", "identity", null],
  ["content-encoding", "identity, x-test", "x-test"],
  ["content-encoding", "", null],
  ["content-language", "de, en-GB", "de, en-GB"],
  ["content-disposition", 'attachment; filename="a;b.txt"', 'attachment; filename="a;b.txt"'],
  ["content-disposition", "", null],
  ["expires", "Thu, 01 Dec 1994 16:00:00 GMT", "Thu, 01 Dec 1994 16:00:00 GMT"],
  ["expires", "0", "0"],
  ["cache-control", "public, Immutable,no-transform", "public, Immutable, no-transform"],
  ["cache-control", 'private="a, b", x="\\",y"', 'private="a, b", x="\\",y"'],
  ["cache-control", "max-age=60, stale-while-revalidate=30", "max-age=60, stale-while-revalidate=30"],
  ["cache-control", "s-maxage=5, max-stale, min-fresh=1, only-if-cached", "max-age=5, s-maxage=5"],
  ["cache-control", 'a b, =, public, "x", c="', "public"],
  ["vitrine-meta-a", "b", "b"],
  ["vitrine-meta-a", "", ""],
  ["Vitrine-Meta-A.B_c!", "\u00e9\u00ff\u0080 \t:=\u00c3\u00a4", "\u00e9\u00ff\u0080 \t:=\u00c3\u00a4"],
  ["vitrine-other", "b", null],
  ["set-cookie2", "b", null],
];

/** The metadata of a PUT that is kept besides bytes and type. */
export const metadataCases: readonly ContractCase[] = [
  ...kept.map(([header, given, sent]): ContractCase => ({
    name: `GET, HEAD and a range send ${JSON.stringify(sent)} when PUT had ${header}: ${JSON.stringify(given)}`,
    async run(client) {
      await client.create("a", "body", { [header]: given });
      for (
        const response of [await client.get("a"), await client.head("a"), await client.get("a", { range: "bytes=1-2" })]
      ) {
        expect(response.headers.get(header)).toBe(sent);
        await response.arrayBuffer();
      }
    },
  })),
  ...["a b", "gzip;q=1", "gzip/1", '"gzip"', "gzip\u00e9"].map((value): ContractCase => ({
    name: `PUT refuses with 400 when Content-Encoding is ${value}`,
    async run(client) {
      expect(await refusal(await client.put("a", "x", { "content-encoding": value }))).toEqual([
        400,
        "/problems/bad-request",
      ]);
      expect((await client.get("a")).status).toBe(404);
    },
  })),
  {
    name: "PUT refuses with 400 when Vitrine-Meta- names nothing",
    async run(client) {
      expect(await refusal(await client.put("a", "x", { "vitrine-meta-": "b" }))).toEqual([
        400,
        "/problems/bad-request",
      ]);
    },
  },
  {
    name: "PUT replaces all that was kept",
    async run(client) {
      const headers = { "content-encoding": "x-test", expires: "0", "cache-control": "public", "vitrine-meta-a": "b" };
      await client.create("a", "x", headers);
      await client.put("a", "x", { "vitrine-meta-c": "d" });
      const response = await client.head("a");
      for (const name of Object.keys(headers)) expect(response.headers.get(name)).toBeNull();
      expect(response.headers.get("vitrine-meta-c")).toBe("d");
    },
  },
  {
    name: "GET sends a 304 with what caches need, and nothing else of what is kept",
    async run(client) {
      const etag = await client.create("a", "x", {
        "content-encoding": "x-test",
        "content-language": "de",
        "content-disposition": "inline",
        expires: "0",
        "cache-control": "max-age=60, public",
        "vitrine-meta-a": "b",
      });
      const response = await client.get("a", { "if-none-match": etag });
      expect(response.status).toBe(304);
      const names = ["etag", "expires", "cache-control", "vary"];
      expect(names.map((name) => response.headers.get(name))).toEqual([
        etag,
        "0",
        "max-age=60, public",
        "Vitrine-Tenant",
      ]);
      for (const name of ["content-encoding", "content-language", "content-disposition", "vitrine-meta-a"]) {
        expect(response.headers.get(name)).toBeNull();
      }
    },
  },
  {
    name: "PUT keeps as many fields as there may be and refuses one more with 431",
    async run(client) {
      const fields = (count: number) =>
        Object.fromEntries(Array.from({ length: count }, (_, i) => [`vitrine-meta-${i}`, `${i}`]));
      await client.create("a", "x", fields(MAX_KEPT_HEADERS));
      expect((await client.head("a")).headers.get(`vitrine-meta-${MAX_KEPT_HEADERS - 1}`)).toBe(
        `${MAX_KEPT_HEADERS - 1}`,
      );
      const more = await client.put("a", "y", fields(MAX_KEPT_HEADERS + 1));
      expect(await refusal(more)).toEqual([431, "/problems/metadata-too-large"]);
      expect(await (await client.get("a")).text()).toBe("x");
    },
  },
  {
    name: "PUT keeps as many bytes as there may be and refuses one more with 431",
    async run(client) {
      const value = "\u00ff".repeat(MAX_KEPT_HEADER_BYTES - "vitrine-meta-a".length - 2);
      await client.create("a", "x", { "vitrine-meta-a": value });
      expect((await client.head("a")).headers.get("vitrine-meta-a")).toBe(value);
      const more = await client.put("a", "y", { "vitrine-meta-a": `${value}\u00ff` });
      expect(await refusal(more)).toEqual([431, "/problems/metadata-too-large"]);
      expect((await client.head("a")).headers.get("vitrine-meta-a")).toBe(value);
    },
  },
  ...[1000, 3_000_000].map((bytes): ContractCase => ({
    name: `GET gives the text back to a client that decodes when ${bytes} bytes were put as gzip`,
    async run(client) {
      const gzip = gzipSync(pattern(bytes), { level: 0 });
      await client.create("a", new Uint8Array(gzip), { "content-encoding": "gzip", "content-type": "text/plain" });
      const head = await client.head("a");
      const names = ["content-encoding", "content-length", "content-type"];
      expect(names.map((name) => head.headers.get(name))).toEqual(["gzip", String(gzip.length), "text/plain"]);
      const body = new Uint8Array(await (await client.get("a")).arrayBuffer());
      // Over a socket, fetch decodes the body.
      expect(Buffer.compare(body, client.fixture.overSockets ? pattern(bytes) : gzip)).toBe(0);
    },
  })),
  {
    name: "GET cuts a range out of the encoded bytes",
    async run(client) {
      await client.create("a", "0123456789", { "content-encoding": "x-test" });
      const response = await client.get("a", { range: "bytes=2-4", "accept-encoding": "identity" });
      const names = ["content-range", "content-encoding"];
      expect(names.map((name) => response.headers.get(name))).toEqual(["bytes 2-4/10", "x-test"]);
      expect(await response.text()).toBe("234");
    },
  },
];
