import { expect } from "bun:test";
import { type ContractCase, pattern, refusal, sha256 } from "../contract_client.ts";

/** GET and HEAD without conditions. */
export const readCases: readonly ContractCase[] = [
  {
    name:
      "GET answers 200 with ETag, Accept-Ranges, Age and Cache-Status, with Server-Timing only if it is traced, when L1 has the object",
    async run(client) {
      const etag = await client.create("a", "hello", { "content-type": "text/plain; charset=utf-8" });
      const response = await client.get("a");
      const header = (name: string) => response.headers.get(name);
      expect(response.status).toBe(200);
      expect([header("etag"), header("accept-ranges"), header("age")]).toEqual([etag, "bytes", "0"]);
      expect(header("content-type")).toBe("text/plain; charset=utf-8");
      expect(header("cache-status")).toBe("vitrine; hit; detail=l1");
      // The image traces all requests where it pushes.
      if (header("traceparent") === null) expect(header("server-timing")).toBeNull();
      else expect(header("server-timing")).toMatch(/^l1;dur=[\d.]+, total;dur=[\d.]+$/);
      expect(header("cache-control")).toBeNull();
      expect(await response.text()).toBe("hello");
    },
  },
  {
    name: "GET sends application/octet-stream when the PUT had no Content-Type",
    async run(client) {
      await client.create("a", pattern(3));
      expect((await client.get("a")).headers.get("content-type")).toBe("application/octet-stream");
    },
  },
  {
    name: "GET sandboxes an object when a browser would run it",
    async run(client) {
      await client.create("a", "<script>", { "content-type": "text/html" });
      expect((await client.get("a")).headers.get("content-security-policy")).toMatch(
        /^default-src 'none';.*; sandbox$/,
      );
    },
  },
  {
    name: "GET answers 404 as a problem with Cache-Status fwd=miss when there is no object",
    async run(client) {
      const response = await client.get("a");
      expect(response.headers.get("cache-status")).toBe("vitrine; fwd=miss; detail=never_stored");
      expect(await refusal(response.clone())).toEqual([404, "/problems/not-found"]);
      expect((await response.json()).reason).toBe("never_stored");
    },
  },
  {
    name: "GET sends Content-Length when the body is small",
    async run(client) {
      if (!client.fixture.overSockets) return;
      await client.create("a", pattern(client.fixture.limits.copyLimitBytes));
      const response = await client.get("a");
      expect(response.headers.get("content-length")).toBe(String(client.fixture.limits.copyLimitBytes));
      expect(response.headers.get("vitrine-size")).toBeNull();
    },
  },
  {
    name: "GET sends Content-Length and Vitrine-Size when the body is larger",
    async run(client) {
      const { copyLimitBytes, l1LimitBytes } = client.fixture.limits;
      for (const bytes of [copyLimitBytes + 1, l1LimitBytes + 1]) {
        await client.create(`sized/${bytes}`, pattern(bytes));
        const response = await client.get(`sized/${bytes}`);
        const { headers } = response;
        expect([headers.get("content-length"), headers.get("vitrine-size")]).toEqual([String(bytes), String(bytes)]);
        expect((await response.arrayBuffer()).byteLength).toBe(bytes);
      }
    },
  },
  {
    name: "GET sends Content-Length with a large range of an object that L1 does not admit",
    async run(client) {
      const { copyLimitBytes, l1LimitBytes } = client.fixture.limits;
      const body = pattern(l1LimitBytes + 1);
      await client.create("a", body);
      const response = await client.get("a", { range: `bytes=3-${copyLimitBytes + 9}` });
      expect([response.status, response.headers.get("content-length")]).toEqual([206, String(copyLimitBytes + 7)]);
      expect(new Uint8Array(await response.arrayBuffer())).toEqual(body.slice(3, copyLimitBytes + 10));
    },
  },
  {
    name: "GET names the tier and sends the right bytes when L1 does not hold the object",
    async run(client) {
      const body = pattern(client.fixture.limits.l1LimitBytes + 1);
      await client.create("a", body);
      const response = await client.get("a");
      expect(response.headers.get("cache-status")).toMatch(/^vitrine; hit; detail=(?!l1$)/);
      expect(await sha256(new Uint8Array(await response.arrayBuffer()))).toBe(await sha256(body));
    },
  },
  ...[0, 5, 2_000_000].map((bytes): ContractCase => ({
    name: `HEAD sends the headers of GET with Content-Length and no body when the object has ${bytes} bytes`,
    async run(client) {
      await client.create("a", pattern(bytes), { "cache-control": "max-age=100" });
      const [head, get] = [await client.head("a"), await client.get("a")];
      expect([head.status, head.headers.get("content-length")]).toEqual([200, String(bytes)]);
      expect((await head.arrayBuffer()).byteLength).toBe(0);
      await get.arrayBuffer();
      const names = ["etag", "content-type", "accept-ranges", "age", "cache-control", "cache-status", "vitrine-size"];
      const of = ({ headers }: Response) => names.map((name) => headers.get(name));
      expect(of(head)).toEqual(of(get));
    },
  })),
  {
    name: "HEAD ignores Range when one is asked",
    async run(client) {
      await client.create("a", "hello");
      const response = await client.head("a", { range: "bytes=0-1" });
      expect([response.status, response.headers.get("content-length")]).toEqual([200, "5"]);
    },
  },
  {
    name: "GET says why in Cache-Status and in the problem when the object was deleted",
    async run(client) {
      await client.create("a", "hello");
      await client.delete("a");
      const response = await client.get("a");
      expect(response.headers.get("cache-status")).toBe("vitrine; fwd=miss; detail=deleted");
      expect((await response.json()).reason).toBe("deleted");
    },
  },
  {
    name: "HEAD answers 404 with the reason and without a body when there is no object",
    async run(client) {
      const response = await client.head("a");
      expect([response.status, await response.text()]).toEqual([404, ""]);
      expect(response.headers.get("cache-status")).toBe("vitrine; fwd=miss; detail=never_stored");
    },
  },
  {
    name: "GET keeps tenants apart when they use one key",
    async run(client) {
      await client.create("a", "mine");
      const of = (tenant: string) => client.get("a", { "vitrine-tenant": tenant });
      expect((await of(`${client.tenant}x`)).status).toBe(404);
      expect(await (await of(client.tenant)).text()).toBe("mine");
    },
  },
  {
    name: "GET takes a tenant of 128 characters and refuses 129 with 400",
    async run(client) {
      const of = (characters: number) => client.get("a", { "vitrine-tenant": "t".repeat(characters) });
      expect((await of(128)).status).toBe(404);
      expect(await refusal(await of(129))).toEqual([400, "/problems/bad-request"]);
    },
  },
];
