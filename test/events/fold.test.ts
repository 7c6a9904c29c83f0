import { expect, test } from "bun:test";
import fc from "fast-check";
import { bucketOf } from "../../src/core/buckets.ts";
import { LATENCY_BOUNDS } from "../../src/events/catalogue.ts";
import { Fold, MAX_SERIES } from "../../src/events/fold.ts";
import { schemaOf } from "../../src/events/schema.ts";

const load = fc.record({
  tier: fc.constantFrom("fs", "redis"),
  tenant: fc.constantFrom("", "a", "b"),
  outcome: fc.constantFrom("ok", "failed"),
  keys: fc.nat({ max: 100 }),
  bytes: fc.nat(),
  seconds: fc.oneof(fc.constantFrom(...LATENCY_BOUNDS), fc.double({ min: 0, max: 12, noNaN: true })),
});

test("Fold keeps counts and sums exact per label values and bucket whatever is added between drains", () => {
  fc.assert(fc.property(fc.array(fc.array(load, { maxLength: 60 }), { maxLength: 4 }), (rounds) => {
    const fold = new Fold(schemaOf("l2.load.completed"));
    for (const events of rounds) {
      for (const event of events) fold.add(event);
      const expected = Map.groupBy(events, (event) => {
        return JSON.stringify([event.tier, event.tenant, event.outcome, bucketOf(event.seconds, LATENCY_BOUNDS)]);
      });
      const groups = fold.drain(7);
      expect(groups.length).toBe(expected.size);
      for (const group of groups) {
        if (group.name !== "l2.load.completed") throw new Error(`unexpected event: ${group.name}`);
        const bucket = bucketOf(group.seconds, LATENCY_BOUNDS);
        const members = expected.get(JSON.stringify([group.tier, group.tenant, group.outcome, bucket])) ?? [];
        expect(group.count).toBe(members.length);
        expect(group.keys).toBe(members.reduce((sum, { keys }) => sum + keys, 0));
        expect(group.bytes).toBe(members.reduce((sum, { bytes }) => sum + bytes, 0));
        const total = members.reduce((sum, { seconds }) => sum + seconds, 0);
        expect(Math.abs(group.seconds * group.count - total)).toBeLessThanOrEqual(total * 1e-12 + 1e-300);
        expect([group.timeMs, group.folded]).toEqual([7, true]);
      }
    }
  }));
});

test("Fold puts open labels under _other when there are too many, keeps closed ones, and starts afresh after a drain", () => {
  const fold = new Fold(schemaOf("l1.removed"));
  const add = (tenant: string, reason: string) => fold.add({ tenant, reason, keys: 1, bytes: 10 });
  const total = MAX_SERIES + 500;
  for (let tenant = 0; tenant < total; tenant++) add(`t${tenant}`, "expired");
  add("one-more", "deleted");
  expect(fold.size).toBe(MAX_SERIES + 2);
  const groups = fold.drain(0);
  expect(groups.reduce((sum, { count }) => sum + count, 0)).toBe(total + 1);
  const others = groups.flatMap((group) =>
    group.name === "l1.removed" && group.tenant === "_other" ? [[group.reason, group.keys, group.bytes]] : []
  );
  expect(others).toEqual([["expired", 500, 5000], ["deleted", 1, 10]]);

  add("one-more", "deleted");
  expect(fold.drain(0)).toMatchObject([{ tenant: "one-more", reason: "deleted", count: 1, keys: 1, bytes: 10 }]);
});
