import { expect } from "bun:test";
import { type ContractCase, type ContractClient, pattern, refusal } from "../contract_client.ts";

async function lookUp(client: ContractClient, query: object | string): Promise<Response> {
  const body = typeof query === "string" ? query : JSON.stringify(query);
  return await client.fetch("/v1/lookup", { method: "POST", body });
}

async function answerOf(client: ContractClient, query: object): Promise<Record<string, unknown>> {
  const response = await lookUp(client, query);
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/json"]);
  return await response.json();
}

function idOf(lease: unknown): string {
  return typeof lease === "object" && lease !== null && "id" in lease ? String(lease.id) : "";
}

/** POST /v1/lookup. */
export const lookupCases: readonly ContractCase[] = [
  {
    name: "a lookup names the tiers of each key, and the longest prefix by tier",
    async run(client) {
      await client.create("a/../b", "x");
      await client.create("é", "x");
      await client.create("big", pattern(client.fixture.limits.l1LimitBytes + 1));
      await client.create("last", "x");
      expect(await answerOf(client, { keys: ["a/../b", "é", "big", "a/../b", "none", "last"] })).toEqual({
        prefix: { l1: 2, fs: 4 },
        held: [["l1"], ["l1"], ["fs"], ["l1"], [], ["l1"]],
      });
      expect(await answerOf(client, { keys: ["none"] })).toEqual({ prefix: { l1: 0, fs: 0 }, held: [[]] });
    },
  },
  {
    name: "a lookup says which tier could not answer, and what the others have",
    needs: ["setFailing"],
    async run(client) {
      await client.create("a", "x");
      client.fixture.setFailing?.(true);
      const { prefix, held, failed } = await answerOf(client, { keys: ["a", "none"], tokens_per_key: 256 });
      client.fixture.setFailing?.(false);
      expect([prefix, held]).toEqual([{ l1: 1, fs: 1 }, [["l1"], []]]);
      expect(failed).toEqual({ fs: expect.any(String) });
    },
  },
  {
    name: "a lookup leases what l1 has, until the lease is released",
    async run(client) {
      await client.create("a", "x");
      const { held, lease } = await answerOf(client, { keys: ["a", "none", "a"], lease: 600 });
      expect(held).toEqual([["l1"], [], ["l1"]]);
      expect(lease).toEqual({
        id: expect.stringMatching(/^[0-9a-f]{16}$/),
        expires: expect.stringMatching(/^\d{4}-.*Z$/),
        refused: [],
      });
      const release = async (id: string) => (await client.fetch(`/v1/leases/${id}`, { method: "DELETE" })).status;
      const id = idOf(lease);
      expect([await release(id), await release(id), await release("0"), await release("x".repeat(16))]).toEqual([
        204,
        404,
        404,
        404,
      ]);
      expect((await client.get("a")).status).toBe(200);
    },
  },
  {
    name: "a batch of GETs releases a lease once all of its answer has been taken",
    async run(client) {
      await client.create("a", "x");
      const { lease } = await answerOf(client, { keys: ["a"], lease: 1 });
      const read = async (id: string) => {
        const body = JSON.stringify({ keys: ["a"], lease: id });
        const answer = await client.fetch("/v1/batch/get", { method: "POST", body });
        await answer.bytes();
        return answer.status;
      };
      const id = idOf(lease);
      expect([await read(id), await read(id), await read("none")]).toEqual([200, 200, 400]);
      expect((await client.fetch(`/v1/leases/${id}`, { method: "DELETE" })).status).toBe(404);
    },
  },
  {
    name: "a lookup names the keys that it does not lease",
    needs: ["setFull"],
    async run(client) {
      await client.create("a", "x");
      client.fixture.setFull?.(true);
      const { held, lease } = await answerOf(client, { keys: ["none", "a"], lease: 1 });
      client.fixture.setFull?.(false);
      expect([held, lease]).toMatchObject([[[], ["l1"]], { refused: [1] }]);
    },
  },
  {
    name: "a lookup takes 1 to 10000 keys",
    async run(client) {
      await client.create("a", "x");
      const { prefix, held } = await answerOf(client, { keys: Array(10_000).fill("a") });
      expect([prefix, Array.isArray(held) && held.length]).toEqual([{ l1: 10_000, fs: 10_000 }, 10_000]);
      for (const keys of [[], Array(10_001).fill("a")]) {
        expect(await refusal(await lookUp(client, { keys }))).toEqual([400, "/problems/bad-request"]);
      }
    },
  },
  {
    name: "a lookup is refused as a whole when it is malformed or has a bad key",
    async run(client) {
      await client.create("a", "x");
      const wrong: readonly (readonly [object | string, string])[] = [
        ["", "bad-request"],
        ["{", "bad-request"],
        [[], "bad-request"],
        [{}, "bad-request"],
        [{ keys: "a" }, "bad-request"],
        [{ keys: ["a", 1] }, "bad-request"],
        [{ keys: ["a"], more: 1 }, "bad-request"],
        [{ keys: ["a"], all_tiers: "yes" }, "bad-request"],
        [{ keys: ["a"], tokens_per_key: 0 }, "bad-request"],
        [{ keys: ["a"], tokens_per_key: 1.5 }, "bad-request"],
        [{ keys: ["a"], tokens_per_key: 1_000_001 }, "bad-request"],
        [{ keys: ["a"], lease: 0 }, "bad-request"],
        [{ keys: ["a"], lease: 601 }, "bad-request"],
        [{ keys: ["a"], lease: 1.5 }, "bad-request"],
        [{ keys: ["a"], load: true }, "bad-request"],
        [{ keys: ["a", ""] }, "bad-key"],
        [{ keys: ["a", "k".repeat(1025)] }, "bad-key"],
        [{ keys: ["\ud800"] }, "bad-key"],
      ];
      for (const [query, type] of wrong) {
        expect(await refusal(await lookUp(client, query))).toEqual([400, `/problems/${type}`]);
      }
      expect((await lookUp(client, { keys: ["k".repeat(1024)], tokens_per_key: 1_000_000 })).status).toBe(200);
      expect((await client.fetch("/v1/lookup")).status).toBe(405);
    },
  },
];
