import { expect, test } from "bun:test";
import { L1Manager } from "../../src/l1/l1_manager.ts";
import { audit, bytesOf, clear, commit, fill, get, makeL1, put, request, resident, staging } from "./support.ts";

const key = (name: string) => ({ tenant: "", key: name });

type Bench = ReturnType<typeof makeL1>;

/** Admits an unsaved object of text. */
function putUnsaved({ l1 }: Pick<Bench, "l1">, name: string, text: string, expiresMs: number = 0) {
  const bytes = new TextEncoder().encode(text);
  const staged = staging(l1.reserveWrite([request(name, bytes.length)], "put")[0]);
  fill(staged.extents, bytes);
  return resident(l1.admitUnsaved(commit(staged, bytes.length, { expiresMs })));
}

/** Another thread's view of the same arena. */
function other({ memory, clock }: Bench, holder: number): L1Manager {
  return new L1Manager(memory, {
    holder,
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

test("L1Manager.admitUnsaved keeps the object past every deadline until its lease is given back", () => {
  const bench = makeL1({ sizeBytes: 64 * 8 }, { admissionLimitBytes: 512 });
  const { lease } = putUnsaved(bench, "a", "hello");
  bench.clock.now += 1_000_000;
  bench.l1.tick();
  for (let i = 0; i < 20; i++) put(bench.l1, `filler-${i}`, "x");
  expect(bench.l1.renew(lease)).toBe(true);
  bench.clock.now += 1_000_000;
  bench.l1.tick();
  expect([get(bench.l1, "a"), bench.l1.isCurrent(lease)]).toEqual(["hello", true]);
  expect(bench.l1.finishRead([lease])).toEqual([true]);
  for (let i = 0; i < 20; i++) put(bench.l1, `filler-${i}`, "x");
  expect(get(bench.l1, "a")).toBe(undefined);
  audit(bench.memory);
});

test("L1Manager.isExpiredUnsaved tells until the lease is given back when the object has expired", () => {
  const bench = makeL1();
  const { l1, clock, memory } = bench;
  const { lease } = putUnsaved(bench, "a", "hello", clock.now + 10);
  expect(l1.isExpiredUnsaved(key("a"))).toBe(false);
  clock.now += 10;
  l1.tick();
  expect([l1.isExpiredUnsaved(key("a")), get(l1, "a"), l1.peek(key("a")), l1.isCurrent(lease)]).toEqual([
    true,
    undefined,
    undefined,
    false,
  ]);
  l1.finishRead([lease]);
  expect(l1.isExpiredUnsaved(key("a"))).toBe(false);
  l1.tick();
  expect(l1.usage()).toMatchObject({ objects: 0, usedBytes: 0, readLeases: 0 });
  audit(memory);
});

for (
  const [what, change] of [
    ["a write", ({ l1 }: Bench) => put(l1, "a", "new")],
    ["an unsaved write", (bench: Bench) => void bench.l1.finishRead([putUnsaved(bench, "a", "new").lease])],
    ["a delete", ({ l1 }: Bench) => expect(l1.delete([key("a")])).toEqual([false])],
    ["a clear", ({ l1 }: Bench) => expect(clear(l1)).toBe(1)],
  ] as const
) {
  test(`L1Manager.isExpiredUnsaved ends when ${what} follows`, () => {
    const bench = makeL1();
    const { l1, clock, memory } = bench;
    const { lease } = putUnsaved(bench, "a", "hello", clock.now + 10);
    clock.now += 10;
    change(bench);
    expect([l1.isExpiredUnsaved(key("a")), l1.isCurrent(lease)]).toEqual([false, false]);
    audit(memory);
    expect(l1.finishRead([lease])).toEqual([true]);
    audit(memory);
  });
}

test("L1Manager.clear leaves unsaved objects when only saved ones are to go", () => {
  const bench = makeL1();
  putUnsaved(bench, "a", "hello");
  put(bench.l1, "b", "saved");
  expect(clear(bench.l1, undefined, "saved")).toBe(1);
  expect([get(bench.l1, "a"), get(bench.l1, "b")]).toEqual(["hello", undefined]);
});

test("L1Manager.adoptUnsaved takes over the unsaved objects of one holder with their keys", () => {
  const bench = makeL1();
  const second = other(bench, 2);
  const third = other(bench, 3);
  putUnsaved({ l1: second }, "a", "hello");
  putUnsaved({ l1: second }, "b", "there");
  put(bench.l1, "b", "newer");
  putUnsaved({ l1: third }, "c", "not mine");
  const adopted = bench.l1.adoptUnsaved(2);
  expect(adopted.map((each) => [each.key.key, new TextDecoder().decode(bytesOf(each.resident.extents))])).toEqual([
    ["a", "hello"],
    ["b", "there"],
  ]);
  expect(adopted.map((each) => bench.l1.isCurrent(each.resident.lease))).toEqual([true, false]);
  expect([third.adoptUnsaved(2), third.adoptUnsaved(1).length]).toEqual([[], 2]);
  expect(bench.l1.finishRead(adopted.map((each) => each.resident.lease))).toEqual([true, true]);
  audit(bench.memory);
});

test("L1Manager.unsaved counts what no tier has of all holders, without what was replaced meanwhile", () => {
  const bench = makeL1();
  const second = other(bench, 2);
  putUnsaved(bench, "a", "hello");
  putUnsaved({ l1: second }, "b", "there!");
  putUnsaved({ l1: second }, "c", "replaced");
  put(bench.l1, "c", "newer");
  expect([bench.l1.unsaved(), second.unsaved()]).toEqual([{ objects: 2, bytes: 11 }, { objects: 2, bytes: 11 }]);
  bench.l1.finishRead(second.adoptUnsaved(1).map(({ resident }) => resident.lease));
  expect(bench.l1.unsaved()).toEqual({ objects: 1, bytes: 6 });
});
