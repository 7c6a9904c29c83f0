import { expect, test } from "bun:test";
import fc from "fast-check";
import { nextTurn } from "../../../src/core/clock.ts";
import { KeyLock, type Stripes } from "../../../src/storage/shared/key_lock.ts";
import { allocateSharedKeys } from "../../../src/storage/shared/memory.ts";
import { endClearing, SharedKeys } from "../../../src/storage/shared/shared_keys.ts";
import { Poller } from "../../../src/storage/timers.ts";
import { ManualTime } from "../../support/storage_bench.ts";

const key = (name: number) => ({ tenant: "", key: `k${name}` });

test("StaleTable agrees with a set of marks in every view", () => {
  const step = fc.record({
    kind: fc.constantFrom("add", "add", "remove", "clear", "recount"),
    name: fc.nat(12),
    tier: fc.nat(2),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const memory = allocateSharedKeys({ hashSeed: 3, maxStaleKeys: 8 });
    const tables = [1, 2].map((workerId) => new SharedKeys(memory, workerId).stale);
    const marks = new Set<string>();
    const distrusted = new Set<number>();
    const isKnown = (name: number): boolean => [0, 1, 2].some((tier) => marks.has(`${name} ${tier}`));
    // One thread owns the tiers; the others look.
    const [table] = tables;
    for (const { kind, name, tier } of steps) {
      const mark = `${name} ${tier}`;
      if (kind === "remove") expect(table?.remove(key(name), tier)).toBe(marks.delete(mark));
      else if (kind === "recount") table?.recount();
      else if (kind === "clear") {
        table?.clear(tier);
        distrusted.delete(tier);
        for (const each of marks) if (each.endsWith(` ${tier}`)) marks.delete(each);
      } else {
        const keys = new Set([...marks].map((each) => each.split(" ")[0])).size;
        const isRemembered = isKnown(name) || keys < 8;
        if (isRemembered) marks.add(mark);
        else distrusted.add(tier);
        expect(table?.add(key(name), tier)).toBe(isRemembered);
      }
      for (const each of tables) {
        for (const tierNumber of [0, 1, 2]) {
          expect(each.isDistrusted(tierNumber)).toBe(distrusted.has(tierNumber));
          for (let n = 0; n <= 12; n += 1) expect(each.has(key(n), tierNumber)).toBe(marks.has(`${n} ${tierNumber}`));
        }
      }
    }
  }));
});

test("VersionSource never gives a version twice when clocks differ", () => {
  const memory = allocateSharedKeys({ hashSeed: 3 });
  const sources = [1, 2].map((workerId) => new SharedKeys(memory, workerId).versions);
  const versions = [10, 10, 9, 11, 11].map((ms, i) => sources[i % 2]?.next(ms));
  expect(versions).toEqual([10_240, 10_241, 10_242, 11_264, 11_265]);
});

/** Two threads' views of one memory, with holders 1 and 2; `gone` is what main does after the end of one. */
function views(): { readonly a: Stripes; readonly b: Stripes; readonly gone: (workerId: number) => void } {
  const memory = allocateSharedKeys({ hashSeed: 1, stripes: 8 });
  const [a, b] = [new SharedKeys(memory, 1).stripes, new SharedKeys(memory, 2).stripes];
  return { a, b, gone: (workerId) => endClearing(memory, workerId) };
}

test("Stripes.isBusy tells of a change in every view until it ends, or the next owner begins", () => {
  const { a, b } = views();
  a.begin(5);
  // 13 is in the same stripe.
  expect([b.isBusy(5), b.isBusy(4), b.isBusy(13)]).toEqual([true, false, false]);
  a.end(5);
  expect(b.isBusy(5)).toBe(false);
  a.begin(5);
  b.reset();
  expect(a.isBusy(5)).toBe(false);
});

test("Stripes.isBusy tells of a change of the key whose hash is 0", () => {
  const { a, b } = views();
  a.begin(0);
  expect([b.isBusy(0), b.isBusy(8)]).toEqual([true, false]);
});

test("KeyLock.snapshot waits for a change of its key, and not for one of another key of its stripe", async () => {
  const { a, b } = views();
  const time = new ManualTime();
  time.after = () => nextTurn();
  const lockOf = (stripes: Stripes) =>
    new KeyLock({ stripes, poller: new Poller(time), clock: time, patienceMs: 1000, isShown: true });
  const [owner, reader] = [lockOf(a), lockOf(b)];
  const other = Array.from({ length: 100 }, (_, n) => key(n + 1)).find((each) => a.of(each) === a.of(key(0)));
  if (other === undefined) throw new Error("no other key is in the stripe");
  const { promise, resolve } = Promise.withResolvers<void>();
  const change = owner.run(key(0), () => promise);
  const snapshot = await reader.snapshot(other);
  expect(snapshot.hasChanged).toBe(false);
  let isTold = false;
  const told = reader.snapshot(key(0)).then(() => isTold = true);
  await nextTurn();
  expect(isTold).toBe(false);
  // Its own change, once it begins, is a change since.
  const next = owner.run(other, () => {});
  resolve();
  await Promise.all([change, next]);
  expect(snapshot.hasChanged).toBe(true);
  expect(await told).toBe(true);
});

test("Stripes.sequence moves with changes, clears and new owners, and not with what happens elsewhere", () => {
  const { a, b } = views();
  const moves = (act: () => unknown): boolean => {
    const before = a.sequence(3);
    act();
    return a.sequence(3) !== before;
  };
  expect(moves(() => b.begin(3))).toBe(true);
  expect(moves(() => b.end(3))).toBe(false);
  expect(moves(() => b.begin(4))).toBe(false);
  expect(moves(() => b.tryClear())).toBe(true);
  expect(moves(() => a.tryClear())).toBe(false);
  expect(moves(() => b.reset())).toBe(true);
});

test("Stripes.tryClear is one thread's at a time, and makes all stripes busy until it ends or its thread does", () => {
  const { a, b, gone } = views();
  expect([a.tryClear(), b.tryClear(), b.isClearing, b.isBusy(2)]).toEqual([true, false, true, true]);
  b.endClear();
  gone(2);
  expect(b.isClearing).toBe(true);
  a.endClear();
  expect([b.isClearing, b.isBusy(2), b.tryClear()]).toEqual([false, false, true]);
  gone(2);
  expect(a.tryClear()).toBe(true);
});
