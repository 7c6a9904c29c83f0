import { expect } from "bun:test";
import { type ContractCase, type ContractClient, refusal } from "../contract_client.ts";

const explained = (client: ContractClient, key: string, query: string = "explain=1") =>
  client.fetch(`/v1/objects/${encodeURIComponent(key)}?${query}`);

/** GET with `explain=1`. */
export const explainCases: readonly ContractCase[] = [
  {
    name: "GET with explain=1 tells where the object is, uncached and without its bytes, when L1 has it",
    async run(client) {
      await client.create("a/ä", "hello");
      const response = await explained(client, "a/ä");
      const { headers } = response;
      expect([response.status, headers.get("content-type"), headers.get("cache-control")]).toEqual([
        200,
        "application/json",
        "no-store",
      ]);
      expect([headers.get("etag"), headers.get("cache-status")]).toEqual([null, null]);
      const { tried: [l1, ...others], ...verdict } = await response.json();
      expect(verdict).toEqual({ key: "a/ä", tenant: client.tenant, result: "hit", tier: "l1" });
      expect([l1, others]).toEqual([{ tier: "l1", result: "hit", seconds: expect.any(Number) }, []]);
    },
  },
  {
    name: "GET with explain=1 answers 200 with every tier in order and the reason when there never was an object",
    async run(client) {
      const response = await explained(client, "a");
      expect(response.status).toBe(200);
      const { result, reason, tried } = await response.json();
      expect([result, reason, tried.length > 0]).toEqual(["miss", "never_stored", true]);
      for (const level of tried) expect([level.result, level.reason]).toEqual(["miss", "never_stored"]);
      expect(tried[0].tier).toBe("l1");
    },
  },
  {
    name: "GET with explain=1 tells of the deletion when the object was deleted",
    async run(client) {
      await client.create("a", "hello");
      await client.delete("a");
      const { result, reason, tried } = await (await explained(client, "a")).json();
      expect([result, reason, tried[0].tier, tried[0].reason]).toEqual(["miss", "deleted", "l1", "deleted"]);
    },
  },
  {
    name: "GET with explain=1 tells of the failure when a tier fails",
    needs: ["setFailing"],
    async run(client) {
      client.fixture.setFailing?.(true);
      try {
        const { result, reason, tried } = await (await explained(client, "a")).json();
        expect([result, reason]).toEqual(["error", "tier_failed"]);
        expect(tried.at(-1)).toMatchObject({ result: "error", reason: "tier_failed", error: "down" });
      } finally {
        client.fixture.setFailing?.(false);
      }
    },
  },
  {
    name: "GET with explain=1 keeps tenants apart when they use one key",
    async run(client) {
      await client.create("a", "hello");
      const other = { "vitrine-tenant": `${client.tenant}x` };
      const response = await client.fetch("/v1/objects/a?explain=1", { headers: other });
      expect(await response.json()).toMatchObject({ tenant: `${client.tenant}x`, result: "miss" });
    },
  },
  {
    name: "HEAD with explain=1 sends the headers of GET without a body",
    async run(client) {
      const head = await client.fetch("/v1/objects/a?explain=1", { method: "HEAD" });
      expect([head.status, head.headers.get("content-type"), await head.text()]).toEqual([200, "application/json", ""]);
    },
  },
  ...["explain=0", "explain=", "explain=true", "explain=1&explain=1"].map((query): ContractCase => ({
    name: `GET answers 400 when the query is ${query}`,
    async run(client) {
      await client.create("a", "hello");
      expect(await refusal(await explained(client, "a", query))).toEqual([400, "/problems/bad-request"]);
    },
  })),
  {
    name: "GET sends the object when the query asks for something else",
    async run(client) {
      await client.create("a", "hello");
      expect(await (await explained(client, "a", "x=1&x=2")).text()).toBe("hello");
    },
  },
];
