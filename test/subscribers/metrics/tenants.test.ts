import { expect, test } from "bun:test";
import fc from "fast-check";
import { lookupFamily } from "../../../src/subscribers/metrics/families/lookup.ts";
import { Tenants } from "../../../src/subscribers/metrics/tenants.ts";
import { MetricsHarness } from "./harness.ts";

const REQUESTS = "lmcache_mp_lookups_requests_total";

function labelOf(tenants: Tenants, tenant: string): unknown {
  return tenants.labels(tenant)["cache_salt"];
}

test("Tenants gives no label to the tenant without a name, its own to the first N, and _other to the rest", () => {
  const tenants = new Tenants(2);
  for (const tenant of ["", "a", "b", "c"]) tenants.count(tenant, 1);
  expect(["", "a", "b", "c", "_other"].map((tenant) => labelOf(tenants, tenant))).toEqual([
    undefined,
    "a",
    "b",
    "_other",
    "_other",
  ]);
});

test("Tenants hands a label over when another tenant has more than twice the traffic of the least", () => {
  const tenants = new Tenants(2);
  tenants.count("a", 10);
  tenants.count("b", 5);
  tenants.count("c", 10);
  expect(labelOf(tenants, "c")).toBe("_other");
  tenants.count("c", 1);
  expect(["a", "b", "c"].map((tenant) => labelOf(tenants, tenant))).toEqual(["a", "_other", "c"]);
});

test("Tenants follows recent traffic when a tenant that was large falls silent", () => {
  const tenants = new Tenants(1);
  tenants.count("old", 60_000);
  let counted = 0;
  while (labelOf(tenants, "new") !== "new") {
    tenants.count("new", 1000);
    counted += 1000;
  }
  expect(counted).toBeLessThan(120_000);
});

test("Tenants does not let tenants that are seen once push a steady one out", () => {
  const tenants = new Tenants(2);
  tenants.count("a", 3);
  tenants.count("b", 3);
  for (let each = 0; each < 10_000; each++) tenants.count(`once-${each}`, 1);
  expect(["a", "b"].map((tenant) => labelOf(tenants, tenant))).toEqual(["a", "b"]);
});

/** Looks up one object for each tenant in turn; returns the series of the request counter. */
async function countLookups(lookups: readonly string[], limit: number): Promise<Readonly<Record<string, number>>> {
  const harness = new MetricsHarness([lookupFamily], { tenantLabels: limit });
  for (const tenant of lookups) {
    harness.bus.publish("lookup.finished", { tenant, tier: "", result: "miss", reason: "unknown", keys: 1, bytes: 0 });
    // oxlint-disable-next-line no-await-in-loop -- so that labels change hands between the counts
    await harness.bus.flush();
  }
  const series = Object.entries(await harness.series()).filter(([name]) => name.startsWith(REQUESTS));
  return Object.fromEntries(series.map(([name, value]) => [name, typeof value === "number" ? value : NaN]));
}

test("a counter by tenant keeps the sum over all tenants and at most N + 2 series when labels change hands", async () => {
  const tenant = fc.constantFrom("", "a", "b", "c", "d", "e", "_other");
  await fc.assert(
    fc.asyncProperty(fc.array(tenant, { maxLength: 60 }), fc.integer({ min: 0, max: 3 }), async (lookups, limit) => {
      const series = await countLookups(lookups, limit);
      expect(Object.values(series).reduce((sum, value) => sum + value, 0)).toBe(lookups.length);
      expect(Object.keys(series).length).toBeLessThanOrEqual(limit + 2);
      expect(series[REQUESTS]).toBe(lookups.filter((each) => each === "").length);
    }),
    { numRuns: 40 },
  );
});

test("a counter by tenant adds a tenant's count to _other when it loses its label, and begins at zero when it comes back", async () => {
  expect(await countLookups(["a", "b", "b", "b", ...Array<string>(8).fill("a")], 1)).toEqual({
    [REQUESTS]: 0,
    // One of a until b had more than twice that, all three of b, and five of a until it had more than twice of b's.
    [`${REQUESTS}{cache_salt="_other"}`]: 9,
    [`${REQUESTS}{cache_salt="a"}`]: 3,
  });
});
