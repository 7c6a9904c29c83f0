import { expect } from "bun:test";
import { type ContractCase, pattern, refusal, sha256 } from "../contract_client.ts";

/** PUT and DELETE. */
export const writeCases: readonly ContractCase[] = [
  {
    name: "PUT answers 201 with a strong ETag and no body when the key is new",
    async run(client) {
      const response = await client.put("a", "hello");
      expect(response.status).toBe(201);
      expect(response.headers.get("etag")).toMatch(/^"[!#-~]+"$/);
      expect(await response.text()).toBe("");
      expect(response.headers.get("location")).toBeNull();
    },
  },
  {
    name: "PUT answers 200 with another ETag when it replaces",
    async run(client) {
      const first = await client.create("a", "hello");
      const response = await client.put("a", "hello");
      expect([response.status, await response.text()]).toEqual([200, ""]);
      expect(response.headers.get("etag")).not.toBe(first);
      expect(response.headers.get("etag")).toBe((await client.head("a")).headers.get("etag"));
    },
  },
  ...[0, 1, 128 * 1024, 128 * 1024 + 1, 3_000_000].map((bytes): ContractCase => ({
    name: `PUT stores the bytes when they are ${bytes}`,
    async run(client) {
      await client.create("a", pattern(bytes));
      const response = await client.get("a");
      expect(await sha256(new Uint8Array(await response.arrayBuffer()))).toBe(await sha256(pattern(bytes)));
    },
  })),
  {
    name: "PUT stores the bytes when they come in chunks without a length",
    async run(client) {
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          for (let i = 0; i < 5; i++) controller.enqueue(pattern(100_000));
          controller.close();
        },
      });
      const init: RequestInit & { duplex: "half" } = { body, duplex: "half" };
      expect((await client.object("PUT", "a", init)).status).toBe(201);
      expect((await (await client.get("a")).arrayBuffer()).byteLength).toBe(500_000);
    },
  },
  {
    name: "PUT stores an empty object when there is no body at all",
    async run(client) {
      expect((await client.object("PUT", "a")).status).toBe(201);
      expect((await client.head("a")).headers.get("content-length")).toBe("0");
    },
  },
  {
    name: "PUT takes an object of exactly the largest size and refuses one byte more with 413",
    async run(client) {
      const { maxObjectBytes } = client.fixture.limits;
      expect((await client.put("a", pattern(maxObjectBytes))).status).toBe(201);
      expect(await refusal(await client.put("b", pattern(maxObjectBytes + 1)))).toEqual([413, "/problems/too-large"]);
      expect((await client.get("b")).status).toBe(404);
    },
  },
  {
    name: "PUT refuses with 413 when chunks without a length grow too large",
    async run(client) {
      const chunk = pattern(1_000_000);
      let left = client.fixture.limits.maxObjectBytes + 1;
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          if (left <= 0) return controller.close();
          controller.enqueue(chunk.subarray(0, Math.min(left, chunk.length)));
          left -= chunk.length;
        },
      });
      const init: RequestInit & { duplex: "half" } = { body, duplex: "half" };
      expect(await refusal(await client.object("PUT", "a", init))).toEqual([413, "/problems/too-large"]);
    },
  },
  {
    name: "PUT refuses with 507 when there is no room and leaves what was there",
    needs: ["setFull"],
    async run(client) {
      const etag = await client.create("a", "old");
      client.fixture.setFull?.(true);
      const response = await client.put("a", "new");
      client.fixture.setFull?.(false);
      expect(await refusal(response)).toEqual([507, "/problems/no-room"]);
      expect((await client.head("a")).headers.get("etag")).toBe(etag);
    },
  },
  ...(["l1", "l2"] as const).map((durability): ContractCase => ({
    name: `PUT takes Vitrine-Durability when it is ${durability}`,
    async run(client) {
      expect((await client.put("a", "x", { "vitrine-durability": durability })).status).toBe(201);
    },
  })),
  {
    name: "PUT refuses with 400 when Vitrine-Durability is unknown",
    async run(client) {
      expect(await refusal(await client.put("a", "x", { "vitrine-durability": "l3" })))
        .toEqual([400, "/problems/bad-request"]);
    },
  },
  {
    name: "PUT refuses with 400 when it is of a part",
    async run(client) {
      expect(await refusal(await client.put("a", "x", { "content-range": "bytes 0-0/2" })))
        .toEqual([400, "/problems/bad-request"]);
    },
  },
  {
    name: "PUT keeps a Content-Type of 255 bytes and refuses 256 with 400",
    async run(client) {
      const type = (bytes: number) => `text/${"x".repeat(bytes - 5)}`;
      await client.create("a", "x", { "content-type": type(255) });
      expect((await client.get("a")).headers.get("content-type")).toBe(type(255));
      expect(await refusal(await client.put("a", "x", { "content-type": type(256) })))
        .toEqual([400, "/problems/bad-request"]);
    },
  },
  {
    name: "DELETE answers 204 without a body, then 404, when the object was there once",
    async run(client) {
      await client.create("a", "x");
      const response = await client.delete("a");
      expect([response.status, await response.text()]).toEqual([204, ""]);
      expect((await client.get("a")).status).toBe(404);
      expect(await refusal(await client.delete("a"))).toEqual([404, "/problems/not-found"]);
    },
  },
  {
    name: "DELETE and a miss answer 503 with Retry-After when the tiers fail",
    needs: ["setFailing"],
    async run(client) {
      client.fixture.setFailing?.(true);
      const responses = [await client.delete("a"), await client.get("a")];
      client.fixture.setFailing?.(false);
      for (const response of responses) {
        expect(response.headers.get("retry-after")).toBe("1");
        expect(await refusal(response)).toEqual([503, "/problems/tier-failed"]);
      }
    },
  },
];
