import { expect, test } from "bun:test";
import { L1Manager } from "../../src/l1/l1_manager.ts";
import type { Lease } from "../../src/l1/l1.ts";
import { audit, bytesOf, clear, commit, fill, get, makeL1, put, request, staging } from "./support.ts";

const key = (name: string) => ({ tenant: "", key: name });

type Bench = ReturnType<typeof makeL1>;

const LIMITS = { maxEntries: 9, maxBytes: 1000 };

/** Admits a dirty object of text. */
function putDirty({ l1 }: Pick<Bench, "l1">, name: string, text: string, expiresMs: number = 0): string {
  const bytes = new TextEncoder().encode(text);
  const staged = staging(l1.reserveWrite([request(name, bytes.length)], "put")[0]);
  fill(staged.extents, bytes);
  return l1.admit(commit(staged, bytes.length, { expiresMs }), { dirty: LIMITS });
}

/** Whether the object "a" has expired before it was stored. */
function isOutdating(l1: L1Manager): boolean {
  const known = l1.know(key("a"));
  return known !== undefined && known.meta === undefined;
}

/** The lease of the one object that waits. */
function takeOne(l1: L1Manager): Lease {
  const [taken] = l1.takeDirty(1);
  if (taken === undefined) throw new Error("nothing waits");
  return taken.resident.lease;
}

/** Another thread's view of the same arena. */
function other({ memory, clock }: Bench, workerId: number): L1Manager {
  return new L1Manager(memory, {
    workerId,
    clock,
    publish: () => {},
    policy: "s3-fifo",
    admissionLimitBytes: 1024,
    readLeaseMs: 1000,
    writeLeaseMs: 1000,
    highWatermark: 0.8,
    lowWatermark: 0.6,
    format: false,
  });
}

for (const isTaken of [true, false]) {
  test(`L1Manager keeps a dirty object past every deadline until it is stored, ${isTaken ? "taken" : "or taken"}`, () => {
    const bench = makeL1({ sizeBytes: 64 * 8 }, { admissionLimitBytes: 512 });
    expect(putDirty(bench, "a", "hello")).toBe("admitted");
    const early = isTaken ? takeOne(bench.l1) : undefined;
    bench.clock.now += 1_000_000;
    bench.l1.tick();
    for (let i = 0; i < 20; i++) put(bench.l1, `filler-${i}`, "x");
    bench.clock.now += 1_000_000;
    bench.l1.tick();
    expect(get(bench.l1, "a")).toBe("hello");
    const lease = early ?? takeOne(bench.l1);
    expect([bench.l1.renew(lease), bench.l1.isCurrent(lease)]).toEqual([true, true]);
    audit(bench.memory);
    expect(bench.l1.finishRead([lease])).toEqual([true]);
    for (let i = 0; i < 20; i++) put(bench.l1, `filler-${i}`, "x");
    expect(get(bench.l1, "a")).toBe(undefined);
    audit(bench.memory);
  });
}

test("L1Manager.know tells until the object is stored when it has expired", () => {
  const bench = makeL1();
  const { l1, clock, memory } = bench;
  putDirty(bench, "a", "hello", clock.now + 10);
  expect(isOutdating(l1)).toBe(false);
  clock.now += 10;
  l1.tick();
  const lease = takeOne(l1);
  expect([isOutdating(l1), get(l1, "a"), l1.peek(key("a")), l1.isCurrent(lease)]).toEqual([
    true,
    undefined,
    undefined,
    false,
  ]);
  l1.finishRead([lease]);
  expect(isOutdating(l1)).toBe(false);
  l1.tick();
  expect(l1.usage()).toMatchObject({ objects: 0, usedBytes: 0, readLeases: 0 });
  audit(memory);
});

for (
  const [what, change] of [
    ["a write", ({ l1 }: Bench) => put(l1, "a", "new")],
    ["a dirty write", (bench: Bench) => void putDirty(bench, "a", "new")],
    ["a delete", ({ l1 }: Bench) => expect(l1.delete([key("a")])).toEqual([false])],
    ["a clear", ({ l1 }: Bench) => expect(clear(l1)).toBe(1)],
  ] as const
) {
  for (const isTaken of [true, false]) {
    test(`L1Manager.know ends when ${what} follows, the object ${isTaken ? "" : "not "}taken`, () => {
      const bench = makeL1();
      const { l1, clock, memory } = bench;
      putDirty(bench, "a", "hello", clock.now + 10);
      const lease = isTaken ? takeOne(l1) : undefined;
      clock.now += 10;
      change(bench);
      expect(isOutdating(l1)).toBe(false);
      const waiting = what === "a dirty write" ? 1 : 0;
      expect(l1.dirtyUsage().entries).toBe(waiting + (isTaken ? 1 : 0));
      audit(memory);
      if (lease === undefined) return;
      expect(l1.isCurrent(lease)).toBe(false);
      expect(l1.finishRead([lease])).toEqual([true]);
      expect(l1.dirtyUsage().entries).toBe(waiting);
      audit(memory);
    });
  }
}

test("L1Manager.clear leaves dirty objects when only saved ones are to go", () => {
  const bench = makeL1();
  putDirty(bench, "a", "hello");
  put(bench.l1, "b", "clean");
  expect(clear(bench.l1, undefined, "clean")).toBe(1);
  expect([get(bench.l1, "a"), get(bench.l1, "b")]).toEqual(["hello", undefined]);
});

test("L1Manager.takeDirty hands out each object once, in the order of admission, whoever admitted it", () => {
  const bench = makeL1();
  const second = other(bench, 2);
  const third = other(bench, 3);
  putDirty({ l1: second }, "a", "hello");
  putDirty({ l1: second }, "b", "there");
  putDirty({ l1: third }, "c", "not mine");
  putDirty(bench, "b", "newer");
  const texts = (l1: L1Manager, most: number) =>
    l1.takeDirty(most).map(({ key, resident }) => [
      key.key,
      new TextDecoder().decode(bytesOf(resident.extents)),
      l1.isCurrent(resident.lease),
    ]);
  expect(texts(bench.l1, 2)).toEqual([["a", "hello", true], ["c", "not mine", true]]);
  expect(texts(third, 9)).toEqual([["b", "newer", true]]);
  expect(texts(bench.l1, 9)).toEqual([]);
  audit(bench.memory);
});

test("L1Manager.admit admits nothing beyond the limits, but for one object that is alone", () => {
  const bench = makeL1();
  const { l1 } = bench;
  const staged = (name: string, bytes: number) =>
    commit(staging(l1.reserveWrite([request(name, bytes)], "put")[0]), bytes);
  const limits = { maxEntries: 2, maxBytes: 10 };
  expect(l1.admit(staged("large", 20), { dirty: limits })).toBe("admitted");
  const second = staged("b", 5);
  expect([l1.admit(second, { dirty: limits }), get(l1, "b")]).toEqual(["full", undefined]);
  l1.finishRead([takeOne(l1)]);
  expect(l1.admit(second, { dirty: limits })).toBe("admitted");
  expect(l1.admit(second, { dirty: limits })).toBe("stale");
  expect(l1.admit(staged("x", 6), { dirty: limits })).toBe("full");
  expect(l1.admit(staged("c", 5), { dirty: limits })).toBe("admitted");
  const lease = takeOne(l1);
  const last = staged("d", 0);
  expect(l1.admit(last, { dirty: limits })).toBe("full");
  l1.finishRead([lease]);
  expect(l1.admit(last, { dirty: limits })).toBe("admitted");
  audit(bench.memory);
});

test("L1Manager.admit admits nothing while the oldest dirty object has waited too long", () => {
  const bench = makeL1();
  const { l1, clock } = bench;
  const staged = (name: string) => commit(staging(l1.reserveWrite([request(name, 1)], "put")[0]), 1);
  const dirty = { maxEntries: 10, maxBytes: 10, maxAgeMs: 1000 };
  expect(l1.admit(staged("a"), { dirty })).toBe("admitted");
  clock.now += 1000;
  expect(l1.admit(staged("b"), { dirty })).toBe("admitted");
  clock.now += 1;
  const third = staged("c");
  expect(l1.admit(third, { dirty })).toBe("full");
  l1.finishRead([takeOne(l1)]);
  expect(l1.admit(third, { dirty })).toBe("admitted");
  audit(bench.memory);
});

test("L1Manager.dirty counts what the tiers do not have, without what was replaced or has expired meanwhile", () => {
  const bench = makeL1();
  const second = other(bench, 2);
  putDirty(bench, "a", "hello");
  putDirty({ l1: second }, "b", "there!");
  putDirty({ l1: second }, "c", "replaced");
  putDirty({ l1: second }, "d", "short", bench.clock.now + 1);
  bench.clock.now += 1;
  put(bench.l1, "c", "newer");
  expect([bench.l1.dirty(), second.dirty()]).toEqual([{ objects: 2, bytes: 11 }, { objects: 2, bytes: 11 }]);
  bench.l1.finishRead([takeOne(bench.l1)]);
  expect(bench.l1.dirty()).toEqual({ objects: 1, bytes: 6 });
});
