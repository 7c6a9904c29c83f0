import { expect } from "bun:test";
import { type ContractCase, refusal } from "../contract_client.ts";

/** Cache-Control and Age. */
export const lifetimeCases: readonly ContractCase[] = [
  {
    name: "GET sends Age, the whole max-age and the ttl left when an object with a TTL gets older",
    needs: ["advance"],
    async run(client) {
      await client.create("a", "x", { "cache-control": "max-age=60" });
      client.fixture.advance?.(10_500);
      const { headers } = await client.get("a");
      expect([headers.get("age"), headers.get("cache-control"), headers.get("vary")])
        .toEqual(["10", "max-age=60", "Vitrine-Tenant"]);
      expect(headers.get("cache-status")).toBe("vitrine; hit; ttl=49; detail=l1");
    },
  },
  {
    name: "GET sends Age when an object without a TTL gets older",
    needs: ["advance"],
    async run(client) {
      await client.create("a", "x");
      client.fixture.advance?.(3_600_000);
      const { headers } = await client.get("a");
      expect([headers.get("age"), headers.get("cache-control")]).toEqual(["3600", null]);
    },
  },
  {
    name: "GET answers 404, and PUT 201, when the time to live is over",
    needs: ["advance"],
    async run(client) {
      await client.create("a", "x", { "cache-control": "max-age=60" });
      client.fixture.advance?.(59_999);
      expect((await client.get("a")).status).toBe(200);
      client.fixture.advance?.(1);
      expect((await client.get("a")).status).toBe(404);
      await client.create("a", "y");
    },
  },
  ...([
    ['public, max-age="60", immutable', "max-age=60, public, immutable"],
    ["MAX-AGE=60", "max-age=60"],
    ["max-age=60, max-age=60", "max-age=60"],
  ] as const).map(([value, sent]): ContractCase => ({
    name: `PUT takes a TTL when Cache-Control is ${value}`,
    async run(client) {
      await client.create("a", "x", { "cache-control": value });
      expect((await client.get("a")).headers.get("cache-control")).toBe(sent);
    },
  })),
  ...["max-stale=5", ""].map((value): ContractCase => ({
    name: `PUT sets no TTL when Cache-Control is '${value}'`,
    async run(client) {
      await client.create("a", "x", { "cache-control": value });
      expect((await client.get("a")).headers.get("cache-control")).toBeNull();
    },
  })),
  {
    name: "PUT takes the longest TTL there is when max-age is absurd",
    async run(client) {
      await client.create("a", "x", { "cache-control": `max-age=${"9".repeat(30)}` });
      expect((await client.get("a")).headers.get("cache-control")).toBe("max-age=2147483648");
    },
  },
  ...["max-age", "max-age=", "max-age=-1", "max-age=1.5", "max-age=x", "no-store"]
    .map((value): ContractCase => ({
      name: `PUT refuses with 400 when Cache-Control is ${value}`,
      async run(client) {
        expect(await refusal(await client.put("a", "x", { "cache-control": value })))
          .toEqual([400, "/problems/bad-request"]);
      },
    })),
];
