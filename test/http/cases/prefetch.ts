import { expect } from "bun:test";
import { type ContractCase, type ContractClient, pattern, refusal } from "../contract_client.ts";

async function begin(client: ContractClient, query: object | string): Promise<Response> {
  const body = typeof query === "string" ? query : JSON.stringify(query);
  return await client.fetch("/v1/prefetch", { method: "POST", body });
}

/** Begins a job and waits for its end. */
async function outcomeOf(client: ContractClient, query: object): Promise<Record<string, unknown>> {
  const begun = await begin(client, query);
  const at = begun.headers.get("location") ?? "";
  expect([begun.status, at]).toEqual([202, `/v1/prefetch/${(await begun.json()).id}`]);
  const ended = await client.fetch(`${at}?wait=20`);
  expect([ended.status, ended.headers.get("content-type")]).toEqual([200, "application/json"]);
  return await ended.json();
}

const NONE = { hit: 0, loaded: 0, miss: 0, not_attempted: 0, refused_no_room: 0, failed: 0 };

/** POST /v1/prefetch, GET and DELETE of a job. */
export const prefetchCases: readonly ContractCase[] = [
  {
    name: "a prefetch tells the outcome of each key, and the number of leading ones that are in l1",
    async run(client) {
      await client.create("é", "x");
      await client.create("big", pattern(client.fixture.limits.l1LimitBytes + 1));
      await client.create("last", "x");
      const keys = ["é", "last", "none", "big", "last"];
      expect(await outcomeOf(client, { keys, mode: "full" })).toEqual({
        id: expect.stringMatching(/^[0-9a-f]{16}$/),
        state: "done",
        mode: "full",
        prefix: 2,
        counts: { ...NONE, hit: 3, miss: 1, refused_no_room: 1 },
        outcomes: ["hit", "hit", "miss", "refused_no_room", "hit"],
      });
      expect(await outcomeOf(client, { keys, deadline_ms: 600_000 })).toMatchObject({
        mode: "prefix",
        prefix: 2,
        counts: { ...NONE, hit: 2, miss: 1, not_attempted: 2 },
      });
    },
  },
  {
    name: "what a prefetch leases is released with the job, with its lease, or by a batch of GETs",
    async run(client) {
      await client.create("a", "x");
      const query = { keys: ["a", "a"], mode: "full", lease: 600, deadline_ms: 1000 };
      const leased = async () => {
        const { id, lease } = await outcomeOf(client, query);
        expect(lease).toEqual({ id, expires: expect.stringMatching(/^\d{4}-.*Z$/) });
        return String(id);
      };
      const remove = async (path: string) => (await client.fetch(path, { method: "DELETE" })).status;
      const [job, lease, read] = [await leased(), await leased(), await leased()];
      expect([await remove(`/v1/prefetch/${job}`), await remove(`/v1/prefetch/${job}`)]).toEqual([204, 404]);
      expect([await remove(`/v1/leases/${job}`), await remove(`/v1/leases/${lease}`)]).toEqual([404, 204]);
      const body = JSON.stringify({ keys: ["a"], lease: read });
      await (await client.fetch("/v1/batch/get", { method: "POST", body })).bytes();
      expect(await remove(`/v1/leases/${read}`)).toBe(404);
      // The job is still there.
      expect([await remove(`/v1/prefetch/${lease}`), await remove(`/v1/prefetch/${read}`)]).toEqual([204, 204]);
    },
  },
  {
    name: "a prefetch job is a 404 when there is none with its id, and a bad time to wait is refused",
    async run(client) {
      for (const id of ["0", "0123456789abcdef", "x".repeat(16), "0123456789ABCDEF"]) {
        expect(await refusal(await client.fetch(`/v1/prefetch/${id}`))).toEqual([404, "/problems/not-found"]);
      }
      const id = String((await outcomeOf(client, { keys: ["none"] }))["id"]);
      for (const query of ["wait=31", "wait=-1", "wait=1.5", "wait=", "more=1", "wait=1&wait=1"]) {
        expect([query, ...await refusal(await client.fetch(`/v1/prefetch/${id}?${query}`))]).toEqual([
          query,
          400,
          "/problems/bad-request",
        ]);
      }
      expect((await client.fetch(`/v1/prefetch/${id}?wait=0`)).status).toBe(200);
    },
  },
  {
    name: "a prefetch is refused when too many jobs run",
    needs: ["setFull"],
    async run(client) {
      client.fixture.setFull?.(true);
      const refused = await begin(client, { keys: ["a"] });
      client.fixture.setFull?.(false);
      expect([refused.status, Number(refused.headers.get("retry-after")) > 0]).toEqual([503, true]);
    },
  },
  {
    name: "a prefetch is refused as a whole when it is malformed or has a bad key",
    async run(client) {
      const wrong: readonly (readonly [object | string, string])[] = [
        ["", "bad-request"],
        ["{", "bad-request"],
        [{}, "bad-request"],
        [{ keys: [] }, "bad-request"],
        [{ keys: Array(10_001).fill("a") }, "bad-request"],
        [{ keys: ["a"], mode: "sparse" }, "bad-request"],
        [{ keys: ["a"], more: 1 }, "bad-request"],
        [{ keys: ["a"], lease: 0 }, "bad-request"],
        [{ keys: ["a"], lease: 601 }, "bad-request"],
        [{ keys: ["a"], deadline_ms: 0 }, "bad-request"],
        [{ keys: ["a"], deadline_ms: 1.5 }, "bad-request"],
        [{ keys: ["a"], deadline_ms: 600_001 }, "bad-request"],
        [{ keys: ["a", ""] }, "bad-key"],
        [{ keys: ["a", "k".repeat(1025)] }, "bad-key"],
        [{ keys: ["\ud800"] }, "bad-key"],
      ];
      for (const [query, type] of wrong) {
        expect(await refusal(await begin(client, query))).toEqual([400, `/problems/${type}`]);
      }
      expect((await outcomeOf(client, { keys: Array(10_000).fill("a") }))["counts"]).toEqual({
        ...NONE,
        miss: 1,
        not_attempted: 9999,
      });
      expect((await client.fetch("/v1/prefetch")).status).toBe(405);
    },
  },
];
