import { expect, test } from "bun:test";
import type { ObjectKey } from "../../src/core/object.ts";
import type { L1Manager } from "../../src/l1/l1_manager.ts";
import { audit, commit, makeL1, put, request, staging } from "./support.ts";

const key = (name: string): ObjectKey => ({ tenant: "", key: name });

const isHit = (l1: L1Manager, name: string, maxAgeMs?: number): boolean =>
  l1.hit(key(name), 1000, () => true, maxAgeMs) === true;

const version = (l1: L1Manager, name: string): number => l1.peek(key(name))?.version ?? -1;

test("L1.cleanAgeMs counts from the admission or the last confirmation", () => {
  const { l1, clock } = makeL1();
  put(l1, "a", "text");
  clock.now += 700;
  expect(l1.cleanAgeMs(key("a"))).toBe(700);
  expect(l1.confirm(key("a"), version(l1, "a"), clock.now - 100)).toBe(true);
  clock.now += 50;
  expect([l1.cleanAgeMs(key("a")), l1.cleanAgeMs(key("b"))]).toEqual([150, undefined]);
});

test("L1.hit does not hit a clean object that is older than the limit", () => {
  const { l1, clock } = makeL1();
  put(l1, "a", "text");
  clock.now += 1000;
  expect([isHit(l1, "a", 1000), isHit(l1, "a", 999), isHit(l1, "a")]).toEqual([true, false, true]);
  l1.confirm(key("a"), version(l1, "a"), clock.now);
  expect(isHit(l1, "a", 0)).toBe(true);
});

test("L1.confirm does nothing when another version is resident, or none", () => {
  const { l1, clock } = makeL1();
  put(l1, "a", "text");
  clock.now += 1000;
  expect(l1.confirm(key("a"), version(l1, "a") + 1, clock.now)).toBe(false);
  expect(l1.confirm(key("b"), 1, clock.now)).toBe(false);
  expect(l1.cleanAgeMs(key("a"))).toBe(1000);
});

test("L1.confirm counts as an admission for the age of the oldest object and for recentKeys", () => {
  const { l1, clock, memory } = makeL1();
  put(l1, "a", "text");
  clock.now += 1000;
  put(l1, "b", "text");
  clock.now += 1000;
  const { admissions } = l1;
  expect(l1.usage().oldestAgeSeconds).toBe(2);
  l1.confirm(key("a"), version(l1, "a"), clock.now);
  expect(l1.usage().oldestAgeSeconds).toBe(1);
  const recent = l1.recentKeys({ tenant: "", prefix: "", after: "" }, admissions, 10);
  expect(recent?.keys).toEqual(["a"]);
  audit(memory);
});

test("a dirty object has no age, and is hit whatever the limit", () => {
  const { l1, clock } = makeL1();
  const [staged] = l1.reserveWrite([request("a", 4)], "put");
  const limits = { maxEntries: 10, maxBytes: 1000 };
  expect(l1.admit(commit(staging(staged), 4), { dirty: limits })).toBe("admitted");
  clock.now += 1000;
  expect([l1.cleanAgeMs(key("a")), l1.confirm(key("a"), 1, clock.now), isHit(l1, "a", 0)]).toEqual([
    undefined,
    false,
    true,
  ]);
  l1.finishRead(l1.takeDirty(1).map(({ resident }) => resident.lease));
  expect([l1.cleanAgeMs(key("a")), isHit(l1, "a", 0)]).toEqual([1000, false]);
});
