import { expect, test } from "bun:test";
import fc from "fast-check";
import { type EventName, eventNames, type FieldValues, LATENCY_BOUNDS } from "../../../src/events/catalogue.ts";
import { CounterRows } from "../../../src/events/memory/counter_rows.ts";
import { RowReader } from "../../../src/events/memory/segment_reader.ts";
import { privateSegment, Segment } from "../../../src/events/memory/segment.ts";
import { bucketOf } from "../../../src/core/events.ts";

function rows() {
  const segment = new Segment(privateSegment(1));
  const { types } = new CounterRows(segment);
  const reader = new RowReader(segment);
  return {
    add: (name: EventName, fields: FieldValues, shed = false) => types[eventNames.indexOf(name)]?.add(fields, shed),
    take: () => [...reader.take(7)],
    reader,
    segment,
  };
}

const load = fc.record({
  tier: fc.constantFrom("fs", "redis", "\ud800 ä"),
  tenant: fc.constantFrom("", "a", "b", "_other"),
  outcome: fc.constantFrom("ok", "failed"),
  keys: fc.nat({ max: 100 }),
  bytes: fc.nat(),
  requestedBytes: fc.constant(0),
  seconds: fc.oneof(fc.constantFrom(...LATENCY_BOUNDS), fc.double({ min: 0, max: 12, noNaN: true })),
  shed: fc.boolean(),
});

test("CounterRows keep counts and sums exact per label values and bucket whatever is counted between two looks", () => {
  fc.assert(
    fc.property(fc.array(fc.array(load, { maxLength: 60 }), { maxLength: 4 }), (rounds) => {
      const { add, take } = rows();
      for (const events of rounds) {
        for (const { shed, ...event } of events) add("l2.load.completed", event, shed);
        const expected = Map.groupBy(events, ({ tier, tenant, outcome, seconds, shed }) => {
          return JSON.stringify([tier, tenant, outcome, bucketOf(seconds, LATENCY_BOUNDS), shed]);
        });
        const groups = take();
        expect(groups.length).toBe(expected.size);
        for (const { event: group, shed } of groups) {
          if (group.name !== "l2.load.completed") throw new Error(`unexpected event: ${group.name}`);
          const bucket = bucketOf(group.seconds, LATENCY_BOUNDS);
          const members = expected.get(JSON.stringify([group.tier, group.tenant, group.outcome, bucket, shed])) ?? [];
          expect(group.count).toBe(members.length);
          expect(group.keys).toBe(members.reduce((sum, { keys }) => sum + keys, 0));
          expect(group.bytes).toBe(members.reduce((sum, { bytes }) => sum + bytes, 0));
          const total = members.reduce((sum, { seconds }) => sum + seconds, 0);
          expect(Math.abs(group.seconds * group.count - total)).toBeLessThanOrEqual(total * 1e-9 + 1e-12);
          expect([group.timeMs, group.folded]).toEqual([7, true]);
        }
      }
    }),
    { numRuns: 50 },
  );
});

test("CounterRows put values of clients' choice under _other while there is no room, keep the others, and count every event", () => {
  const { add, take } = rows();
  const one = { keys: 1, bytes: 10 };
  const tenants = 18_000;
  for (let tenant = 0; tenant < tenants; tenant++) {
    add("l1.removed", { ...one, tenant: `t${tenant}`, reason: "expired" });
  }
  add("l1.removed", { ...one, tenant: "late", reason: "deleted" });
  add("l1.read.finished", { ...one, tenant: "" });
  // Two books are full: the collector has finished with none.
  const first = take().map(({ event }) => event);
  expect(first.reduce((sum, { count }) => sum + count, 0)).toBe(tenants + 2);
  const tenantsOf = (reason: string) =>
    first.flatMap((event) => event.name === "l1.removed" && event.reason === reason ? [event.tenant] : []);
  expect(tenantsOf("deleted")).toEqual(["_other"]);
  expect(tenantsOf("expired").length).toBeGreaterThan(8000);
  expect(first.filter(({ name }) => name === "l1.read.finished")).toMatchObject([{ tenant: "", count: 1 }]);

  add("l1.removed", { ...one, tenant: "late", reason: "deleted" });
  expect(take().map(({ event }) => event)).toMatchObject([{ tenant: "late", reason: "deleted", count: 1, bytes: 10 }]);
});

test("CounterRows lose no count when books are turned again and again between looks", () => {
  const { add, take } = rows();
  let counted = 0;
  for (let tenant = 0; tenant < 30_000; tenant++) {
    add("l1.removed", { keys: 1, bytes: 10, tenant: `t${tenant}`, reason: "quota" });
    if (tenant % 2000 === 0) { for (const { event } of take()) counted += event.count; }
  }
  for (const { event } of take()) counted += event.count;
  expect(counted).toBe(30_000);
});

test("RowReader tells what was counted and not taken yet, and a reader of a dead producer goes on from there", () => {
  const { add, take, reader, segment } = rows();
  const type = eventNames.indexOf("l1.removed");
  const pending = () => {
    const counts: number[] = [];
    reader.countPending(counts);
    return counts[type] ?? 0;
  };
  const one = { keys: 1, bytes: 10, tenant: "", reason: "quota" };
  add("l1.removed", one);
  add("l1.removed", one);
  expect(pending()).toBe(2);
  expect(take().length).toBe(1);
  add("l1.removed", one);
  expect(pending()).toBe(1);
  expect([...new RowReader(segment).take(0)].map(({ event }) => event.count)).toEqual([3]);
});
