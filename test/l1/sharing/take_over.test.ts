import { expect, test } from "bun:test";
import { Arena, type ArenaMemory } from "../../../src/l1/arena/arena.ts";
import { FIELD } from "../../../src/l1/arena/entry.ts";
import { L1Manager } from "../../../src/l1/l1_manager.ts";
import { openTables } from "../../../src/l1/tables.ts";
import {
  audit,
  commit,
  type FakeClock,
  fill,
  get,
  makeL1,
  MIB,
  put,
  request,
  resident,
  staging,
  type Told,
} from "../support.ts";

const DEAD = 2;
const AFTERLIFE_MS = 5000;

/**
 * L1 of main (worker id 1), and of a thread that will die; leases last longer than what is kept of a thread that may
 * still run.
 */
function makePair() {
  const options = { readLeaseMs: 60_000, writeLeaseMs: 60_000 };
  const { l1: main, clock, told, memory } = makeL1({}, options);
  return { main, dying: another(memory, clock, DEAD), clock, told, memory };
}

function another(memory: ArenaMemory, clock: FakeClock, workerId: number, arena: Arena = new Arena(memory)): L1Manager {
  const options = {
    workerId,
    clock,
    publish: () => {},
    policy: "s3-fifo",
    admissionLimitBytes: MIB / 8,
    readLeaseMs: 60_000,
    writeLeaseMs: 60_000,
    highWatermark: 0.8,
    lowWatermark: 0.6,
    format: false,
  } as const;
  return new L1Manager(memory, options, arena);
}

function expired(told: readonly Told[]) {
  return told.filter(({ name }) => name === "l1.lease.expired").map(({ fields }) => fields);
}

/** A load of 8 bytes, 4 of them there, that nobody finishes. */
function startLoad(l1: L1Manager, key: string) {
  const meta = { sizeBytes: 8, crc32: 0, version: 3, createdMs: 0, expiresMs: 0, contentType: "", sha256: "" };
  const staged = staging(l1.reserveWrite([request(key, 8, { loading: meta })], "load")[0]);
  fill(staged.extents, new TextEncoder().encode("half"));
  l1.filled(staged.lease, 4);
  return staged;
}

test("takeOver ends a dead worker's leases as expired, and nobody else's", async () => {
  const { main, dying, told, memory } = makePair();
  put(main, "a", "text");
  const mine = resident(main.reserveRead([{ tenant: "", key: "a" }])[0]);
  dying.reserveRead([{ tenant: "", key: "a" }], 3);
  dying.reserveWrite([request("b", 10)], "put");
  await main.takeOver(DEAD);
  expect(expired(told)).toEqual([{ kind: "write", keys: 1 }, { kind: "read", keys: 3 }]);
  expect(main.usage()).toMatchObject({ readLeases: 1, writeLeases: 0, stagingBytes: 0 });
  expect(main.finishRead([mine.lease])).toEqual([true]);
  expect(main.repairs).toBe(0);
  audit(memory);
});

test("every call of a worker that was declared dead throws, and changes nothing", async () => {
  const { main, dying, clock } = makePair();
  put(main, "a", "text");
  startLoad(main, "c");
  const read = resident(dying.reserveRead([{ tenant: "", key: "a" }])[0]);
  const staged = staging(dying.reserveWrite([request("b", 10)], "put")[0]);
  const following = dying.follow({ tenant: "", key: "c" }, "load");
  await main.takeOver(DEAD, { stillRuns: true });
  const before = main.usage();
  const dead = "use L1 as a thread that was declared dead: worker 2";
  expect(() => dying.finishRead([read.lease])).toThrow(dead);
  expect(() => dying.finishWrite([commit(staged, 10)], "replace")).toThrow(dead);
  expect(() => dying.delete([{ tenant: "", key: "a" }])).toThrow(dead);
  expect(() => dying.tick()).toThrow(dead);
  expect(() => following?.filledBytes()).toThrow(dead);
  expect(() => following?.state()).toThrow(dead);
  expect(main.usage()).toEqual(before);
  expect(clock.now).toBeGreaterThan(0);
});

test("followers of a load see it failed when its thread was declared dead, whether it still runs or not", async () => {
  for (const stillRuns of [false, true]) {
    const { main, dying } = makePair();
    startLoad(dying, "a");
    const following = main.follow({ tenant: "", key: "a" }, "load");
    expect([following?.state(), following?.filledBytes()]).toEqual(["loading", 4]);
    await main.takeOver(DEAD, { stillRuns });
    expect(following?.state()).toBe("failed");
    expect(main.follow({ tenant: "", key: "a" }, "load")).toBeUndefined();
    // Another may load it at once.
    expect(staging(main.reserveWrite([request("a", 8)], "load")[0]).lease).toBeDefined();
  }
});

test("memory of a thread that may still run is kept for five seconds", async () => {
  const { main, dying, clock, told, memory } = makePair();
  put(main, "a", "text");
  dying.reserveRead([{ tenant: "", key: "a" }]);
  dying.reserveWrite([request("b", 1000)], "put");
  const { usedBytes } = main.usage();
  await main.takeOver(DEAD, { stillRuns: true });
  main.delete([{ tenant: "", key: "a" }]);
  clock.now += AFTERLIFE_MS - 1;
  main.tick();
  expect(main.usage()).toMatchObject({ usedBytes, readLeases: 1, writeLeases: 1 });
  clock.now += 1;
  main.tick();
  expect(main.usage()).toMatchObject({ usedBytes: 0, readLeases: 0, writeLeases: 0 });
  expect(expired(told)).toHaveLength(2);
  audit(memory);
});

test("takeOver leaves dirty objects waiting, those that the dead was storing in front", async () => {
  const { main, dying, memory, told } = makePair();
  const putDirty = (l1: L1Manager, key: string): void => {
    const staged = staging(l1.reserveWrite([request(key, 4)], "put")[0]);
    fill(staged.extents, new TextEncoder().encode("text"));
    expect(l1.admit(commit(staged, 4), { dirty: { maxEntries: 9, maxBytes: 99 } })).toBe("admitted");
  };
  for (const key of ["gone", "a", "b"]) putDirty(dying, key);
  expect(dying.takeDirty(2).map(({ key }) => key.key)).toEqual(["gone", "a"]);
  main.delete([{ tenant: "", key: "gone" }]);
  await main.takeOver(DEAD);
  expect(expired(told)).toEqual([{ kind: "read", keys: 2 }]);
  expect([main.usage().readLeases, main.dirtyUsage()]).toEqual([
    0,
    { entries: 2, bytes: 8, storing: 0, oldestMs: main.dirtyUsage().oldestMs },
  ]);
  audit(memory);
  expect(main.takeDirty(9).map(({ key }) => key.key)).toEqual(["a", "b"]);
  expect(get(main, "a")).toBe("text");
  audit(memory);
});

test("takeOver waits, without blocking its thread, for a lock in the hands of another that it then hears is dead", async () => {
  const { main, memory, clock } = makePair();
  const lock = new Int32Array(memory.control);
  const { at } = new Arena(memory).layout;
  Atomics.store(lock, at.lock, 3);
  const first = main.takeOver(DEAD);
  const second = main.takeOver(3);
  await Promise.all([first, second]);
  expect(main.repairs).toBe(1);
  expect(Atomics.load(lock, at.lock) & 0xffff).toBe(0);
  put(another(memory, clock, 4), "a", "text");
  audit(memory);
});

test("whoever waits takes the lock from a thread that was declared gone, and repairs", () => {
  const { main, memory } = makePair();
  put(main, "a", "text");
  const words = new Int32Array(memory.control);
  const { at } = new Arena(memory).layout;
  Atomics.store(words, at.lock, DEAD);
  // What takeOver writes before it waits.
  void main.takeOver(DEAD);
  expect(get(main, "a")).toBe("text");
  expect(main.repairs).toBe(1);
  audit(memory);
});

test("a repair drops objects whose chains are broken, overlap or are too short, and keeps the others", async () => {
  const damages: readonly ((tables: ReturnType<typeof openTables>, entry: number) => void)[] = [
    ({ entries }, entry) => entries.set(entry, FIELD.extents, 1_000_000),
    ({ entries }, entry) => {
      for (const field of [FIELD.extents, FIELD.start]) entries.set(entry, field, entries.get(0, field));
    },
    ({ entries }, entry) => entries.setDouble(entry, FIELD.sizeBytes, 100_000),
    ({ entries }, entry) => entries.set(entry, FIELD.state, 77),
  ];
  for (const [i, damage] of damages.entries()) {
    const { main, memory } = makePair();
    for (const key of ["a", "b", "c", "d"]) put(main, key, `text of ${key}`);
    const { at } = new Arena(memory).layout;
    const tables = openTables(new Arena(memory), { workerId: 9, policy: "s3-fifo", format: false });
    damage(tables, 2);
    Atomics.store(tables.arena.words, at.lock, DEAD);
    await main.takeOver(DEAD);
    audit(memory);
    const kept = ["a", "b", "c", "d"].filter((key) => get(main, key) === `text of ${key}`);
    // Of two objects over the same memory nobody knows whose it is.
    expect(kept).toEqual(i === 1 ? ["b", "d"] : ["a", "b", "d"]);
  }
});

test("a section that breaks off by a fault leaves the tables repaired", () => {
  const { main, memory, clock } = makePair();
  put(main, "a", "text");
  const arena = new Arena(memory);
  const words = arena.words;
  const fillWords = (value: number, from: number, to: number) => words.fill(value, from, to);
  let left = 20;
  const broken = new Proxy(words, {
    get: (target, name) => name === "fill" ? fillWords : Reflect.get(target, name),
    set(target, name, value) {
      // Once, as a full stack would.
      if (left-- === 0) throw new RangeError("Maximum call stack size exceeded");
      target[Number(name)] = Number(value);
      return true;
    },
  });
  Object.defineProperty(arena, "words", { value: broken });
  const faulty = another(memory, clock, 5, arena);
  expect(() => faulty.reserveWrite([request("b", 1000)], "put")).toThrow("call stack");
  expect(main.repairs).toBe(1);
  expect(get(main, "a")).toBe("text");
  expect(main.usage()).toMatchObject({ stagingBytes: 0, writeLeases: 0 });
  audit(memory);
});

test("L1Manager refuses a worker id that the lock has no room for", () => {
  const { memory, clock } = makeL1();
  expect(() => another(memory, clock, 65_536)).toThrow("number a thread from 1 to 65535: 65536");
  expect(() => another(memory, clock, 0)).toThrow("number a thread from 1 to 65535: 0");
});
