import { expect } from "bun:test";
import { type ContractCase, type ContractClient, refusal } from "../contract_client.ts";

async function list(
  client: ContractClient,
  query: string,
): Promise<{ objects: { key: string }[]; next_cursor?: string }> {
  return (await client.fetch(`/v1/objects${query}`)).json();
}

const keysOf = (page: { objects: { key: string }[] }) => page.objects.map(({ key }) => key);

/** GET and DELETE /v1/objects. */
export const listingCases: readonly ContractCase[] = [
  {
    name: "GET /v1/objects describes an object when there is one",
    async run(client) {
      const etag = await client.create("a", "hello", { "content-type": "text/plain", "cache-control": "max-age=60" });
      const { objects } = await list(client, "");
      const [{ created, expires, ...rest }] = JSON.parse(JSON.stringify(objects));
      expect(rest).toEqual({ key: "a", size_bytes: 5, etag, content_type: "text/plain" });
      expect(Date.parse(expires) - Date.parse(created)).toBe(60_000);
    },
  },
  {
    name: "GET /v1/objects lists in byte order and by prefix when there are several",
    async run(client) {
      for (const key of ["b", "a/2", "a/10", "é", "Z", "🦊", "\uffff"]) await client.create(key, "x");
      expect(keysOf(await list(client, ""))).toEqual(["Z", "a/10", "a/2", "b", "é", "\uffff", "🦊"]);
      expect(keysOf(await list(client, "?prefix=a%2F"))).toEqual(["a/10", "a/2"]);
      expect(keysOf(await list(client, "?prefix=a/&tier=l1"))).toEqual(["a/10", "a/2"]);
    },
  },
  {
    name: "GET /v1/objects gives every key once when it is read page by page",
    async run(client) {
      const keys = Array.from({ length: 7 }, (_, i) => `k/${i}`);
      for (const key of keys) await client.create(key, "x");
      const seen: string[][] = [];
      let cursor: string | undefined = "";
      while (cursor !== undefined) {
        const page = await list(client, `?limit=3${cursor === "" ? "" : `&cursor=${cursor}`}`);
        seen.push(keysOf(page));
        cursor = page.next_cursor;
      }
      expect(seen).toEqual([keys.slice(0, 3), keys.slice(3, 6), keys.slice(6)]);
    },
  },
  {
    name: "GET /v1/objects takes limits from 1 to 1000",
    async run(client) {
      for (const limit of ["1", "1000"]) expect((await client.fetch(`/v1/objects?limit=${limit}`)).status).toBe(200);
    },
  },
  ...[
    "limit=0",
    "limit=1001",
    "limit=x",
    "limit=",
    "limit=1&limit=2",
    "cursor=%21",
    "cursor=",
    "tier=nope",
    "colour=red",
  ]
    .map((query): ContractCase => ({
      name: `GET /v1/objects refuses with 400 when the query is ${query}`,
      async run(client) {
        expect(await refusal(await client.fetch(`/v1/objects?${query}`))).toEqual([400, "/problems/bad-request"]);
      },
    })),
  {
    name: "DELETE /v1/objects removes the tenant's objects and tells how many when there are some",
    async run(client) {
      await client.create("a", "x");
      await client.create("b", "x");
      await client.put("a", "other", { "vitrine-tenant": `${client.tenant}x` });
      const response = await client.fetch("/v1/objects?clear=all", { method: "DELETE" });
      expect([response.status, await response.json()]).toEqual([200, { removed: expect.objectContaining({ l1: 2 }) }]);
      expect((await list(client, "")).objects).toEqual([]);
      expect((await client.get("a", { "vitrine-tenant": `${client.tenant}x` })).status).toBe(200);
    },
  },
  ...["", "?", "?tier=l1", "?clear", "?clear=", "?clear=ALL", "?clear=l1", "?all=yes"].map((query): ContractCase => ({
    name: `DELETE /v1/objects${query} removes nothing and says how to, because it does not say that all is meant`,
    async run(client) {
      await client.create("a", "x");
      const response = await client.fetch(`/v1/objects${query}`, { method: "DELETE" });
      expect((await response.clone().json()).detail).toContain(query === "?all=yes" ? "all" : "add ?clear=all");
      expect(await refusal(response)).toEqual([400, "/problems/bad-request"]);
      expect((await client.get("a")).status).toBe(200);
    },
  })),
  {
    name: "DELETE /v1/objects removes nothing and answers 400 when a parameter is not its own",
    async run(client) {
      await client.create("a", "x");
      for (const query of ["prefix=b", "tier=nope", "clear=all", "__proto__=x"].map((each) => `clear=all&${each}`)) {
        expect((await client.fetch(`/v1/objects?${query}`, { method: "DELETE" })).status).toBe(400);
      }
      expect((await client.get("a")).status).toBe(200);
    },
  },
];
