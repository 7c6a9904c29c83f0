import { expect, test } from "bun:test";
import type { ObjectKey } from "../../src/core/object.ts";
import { COUNTER, MAX_HITTERS } from "../../src/l1/arena/layout.ts";
import { Arena, type ArenaMemory } from "../../src/l1/arena/arena.ts";
import { FIELD, FLAG } from "../../src/l1/arena/entry.ts";
import { KeyBytes } from "../../src/l1/arena/key_bytes.ts";
import { L1Manager } from "../../src/l1/l1_manager.ts";
import {
  audit,
  bytesOf,
  commit,
  type FakeClock,
  fill,
  get,
  makeL1,
  MIB,
  put,
  request,
  staging,
  type Told,
} from "./support.ts";

const AFTERLIFE_MS = 5000;
const key = (name: string): ObjectKey => ({ tenant: "", key: name });
const text = (extents: readonly Uint8Array[]) => new TextDecoder().decode(bytesOf(extents));

/** The text of an object that is hit; undefined if it is no hit. */
function hit(l1: L1Manager, name: string, maxBytes = 1000): string | undefined {
  return l1.hit(key(name), maxBytes, (_meta, extents) => text(extents));
}

/** The L1 of another thread over the same memory. */
function another(memory: ArenaMemory, clock: FakeClock, options: {
  readonly workerId: number;
  readonly policy?: "s3-fifo" | "lru";
  readonly told?: Told[];
}): L1Manager {
  const { workerId, policy = "s3-fifo", told = [] } = options;
  return new L1Manager(memory, {
    workerId,
    clock,
    publish: (name, fields) => void told.push({ name, fields }),
    policy,
    admissionLimitBytes: MIB / 8,
    readLeaseMs: 60_000,
    writeLeaseMs: 60_000,
    highWatermark: 0.8,
    lowWatermark: 0.6,
    format: false,
  });
}

test("hit gives metadata and bytes, and counts as a read that was reserved and finished", () => {
  const { l1, told, memory } = makeL1();
  const more = { contentType: "text/plain", headers: "x:1\n", crc32: 9, version: 7, createdMs: 5 };
  put(l1, "a", "hello", more);
  told.length = 0;
  const seen = l1.hit(key("a"), 5, (meta, extents) => ({ meta, text: text(extents), leases: l1.usage().readLeases }));
  expect(seen).toEqual({ meta: { sizeBytes: 5, sha256: "", expiresMs: 0, ...more }, text: "hello", leases: 0 });
  expect(told).toEqual([
    { name: "l1.read.reserved", fields: { tenant: "", keys: 1, bytes: 5 } },
    { name: "l1.read.finished", fields: { tenant: "", keys: 1, bytes: 5 } },
  ]);
  audit(memory);
});

test("hit gives the same metadata for every hit of an object, and another for the object that replaces it", () => {
  const { l1 } = makeL1();
  put(l1, "a", "one");
  const [first, second] = [0, 1].map(() => l1.hit(key("a"), 9, (meta) => meta));
  expect(first === second && first !== undefined).toBe(true);
  put(l1, "a", "two", { version: 1 });
  expect(l1.hit(key("a"), 9, (meta) => meta) === first).toBe(false);
  expect(hit(l1, "a")).toBe("two");
});

test("hit is none when the object is missing, staged, too large, expired, temporary or of another tenant", () => {
  const { l1, clock, told } = makeL1();
  put(l1, "large", "12345");
  put(l1, "timed", "x", { expiresMs: clock.now + 10 });
  put(l1, "temporary", "x", { temporary: true });
  l1.reserveWrite([request("staged", 1)], "put");
  expect(hit(l1, "timed")).toBe("x");
  clock.now += 10;
  told.length = 0;
  expect(["missing", "staged", "timed", "temporary"].map((name) => hit(l1, name))).toEqual(Array(4).fill(undefined));
  expect([hit(l1, "large", 4), hit(l1, "large", 5)]).toEqual([undefined, "12345"]);
  expect(l1.hit({ tenant: "large", key: "x" }, 9, () => true)).toBe(undefined);
  expect(told.map(({ name }) => name)).toEqual(["l1.read.reserved", "l1.read.finished"]);
  expect(get(l1, "temporary")).toBe("x");
});

test("hit is none for a key whose hash is that of another one", () => {
  const { l1 } = makeL1({ hashSeed: 7 });
  const names = ["key-522789", "key-739192"] as const;
  const hashes = names.map((name) => {
    const encoded = new KeyBytes(7);
    encoded.set(key(name));
    return encoded.hash;
  });
  expect(hashes[0]).toBe(hashes[1] ?? 0);
  put(l1, names[0], "x");
  expect([hit(l1, names[0]), hit(l1, names[1])]).toEqual(["x", undefined]);
});

test("hit keeps an object's memory until it is over when others delete, replace, evict or clear it", () => {
  for (const policy of ["s3-fifo", "lru"] as const) {
    const { l1, clock, memory } = makeL1({ sizeBytes: 64 * 1024 }, { policy });
    const other = another(memory, clock, { workerId: 2, policy });
    const fillUp = () => {
      for (let i = 0; i < 200; i++) put(other, `fill-${i}`, "f".repeat(1000));
    };
    const ways = {
      delete: () => other.delete([key("a")]),
      replace: () => put(other, "a", "new"),
      evict: fillUp,
      clear: () => [...other.clear()],
    };
    for (const [way, remove] of Object.entries(ways)) {
      put(l1, "a", way.repeat(50));
      const seen = l1.hit(key("a"), 1000, (_meta, extents) => {
        remove();
        const found = get(other, "a");
        fillUp();
        audit(memory, policy);
        return [text(extents), found];
      });
      expect(seen).toEqual([way.repeat(50), way === "replace" ? "new" : undefined]);
      audit(memory, policy);
      for (const _ of other.clear());
      expect(l1.usage().usedBytes).toBe(0);
    }
  }
});

test("two threads hit one object at once, and the last of them frees it", () => {
  const { l1, clock, memory } = makeL1();
  const [second, third] = [2, 3].map((workerId) => another(memory, clock, { workerId }));
  put(l1, "a", "text");
  l1.hit(key("a"), 9, () => {
    second?.hit(key("a"), 9, (_meta, extents) => {
      third?.delete([key("a")]);
      audit(memory);
      expect(text(extents)).toBe("text");
    });
    expect(l1.usage().usedBytes).toBe(64);
    audit(memory);
  });
  expect(l1.usage().usedBytes).toBe(0);
});

test("hit ends and counts when its user throws; a hit inside a hit is none", () => {
  const { l1, told, memory } = makeL1();
  put(l1, "a", "text");
  told.length = 0;
  expect(() =>
    l1.hit(key("a"), 9, () => {
      expect(hit(l1, "a")).toBe(undefined);
      throw new Error("user");
    })
  ).toThrow("user");
  expect(told.map(({ name }) => name)).toEqual(["l1.read.reserved", "l1.read.finished"]);
  l1.delete([key("a")]);
  expect(l1.usage().usedBytes).toBe(0);
  audit(memory);
});

test("hit is none for a thread that was declared dead", async () => {
  const { l1: main, clock, memory } = makeL1();
  const other = another(memory, clock, { workerId: 2 });
  put(main, "a", "text");
  expect(hit(other, "a")).toBe("text");
  await main.takeOver(2);
  expect(hit(other, "a")).toBe(undefined);
  expect(() => other.reserveRead([key("a")])).toThrow("declared dead");
  expect(hit(main, "a")).toBe("text");
});

test("hit is none for an object whose removal a dead thread has begun", () => {
  const { l1, memory } = makeL1();
  put(l1, "a", "text");
  expect(hit(l1, "a")).toBe("text");
  const { words, layout } = new Arena(memory);
  const flags = layout.at.entries + FIELD.flags;
  words[flags] = (words[flags] ?? 0) & ~FLAG.linked;
  expect(hit(l1, "a")).toBe(undefined);
});

test("takeOver frees at once what a dead thread was hitting, and its row for others", async () => {
  const { l1: main, clock, told, memory } = makeL1();
  put(main, "a", "text");
  const [early, late] = [another(memory, clock, { workerId: 2 }), another(memory, clock, { workerId: 3 })];
  expect(hit(early, "a")).toBe("text");
  let over: Promise<void> | undefined;
  told.length = 0;
  expect(() =>
    early.hit(key("a"), 9, () => {
      main.delete([key("a")]);
      expect(main.usage().usedBytes).toBe(64);
      over = main.takeOver(2);
      expect(main.usage().usedBytes).toBe(0);
      // The row is the next thread's; the dead one must not end its hit.
      put(main, "a", "more");
      expect(hit(late, "a")).toBe("more");
    })
  ).toThrow("declared dead");
  await over;
  expect(told.some(({ name }) => name === "l1.lease.expired")).toBe(false);
  expect(new Arena(memory).words[new Arena(memory).layout.at.counters + COUNTER.hittersTop]).toBe(1);
  audit(memory);
});

test("takeOver keeps what a thread that may still run was hitting for five seconds", async () => {
  const { l1: main, clock, memory } = makeL1();
  const dying = another(memory, clock, { workerId: 2 });
  put(main, "a", "text");
  let over: Promise<void> | undefined;
  let kept: readonly Uint8Array[] = [];
  try {
    dying.hit(key("a"), 9, (_meta, extents) => {
      main.delete([key("a")]);
      over = main.takeOver(2, { stillRuns: true });
      kept = extents;
    });
  } catch (error) {
    expect(String(error)).toContain("declared dead");
  }
  await over;
  put(main, "b", "text");
  expect(hit(dying, "b")).toBe(undefined);
  main.delete([key("b")]);
  clock.now += AFTERLIFE_MS - 1;
  main.tick();
  expect([text(kept), main.usage().usedBytes]).toEqual(["text", 64]);
  clock.now++;
  main.tick();
  expect(main.usage().usedBytes).toBe(0);
  audit(memory);
});

test("hits of more threads than there are rows are none until a row is free", async () => {
  const { l1: main, clock, memory } = makeL1();
  put(main, "a", "text");
  const threads = Array.from({ length: MAX_HITTERS + 1 }, (_, i) => another(memory, clock, { workerId: 2 + i }));
  const seen = threads.map((l1) => hit(l1, "a"));
  expect(seen).toEqual([...Array.from({ length: MAX_HITTERS }, () => "text"), undefined]);
  const last = another(memory, clock, { workerId: 5000 });
  await main.takeOver(100);
  expect(hit(last, "a")).toBe("text");
  expect(get(main, "a")).toBe("text");
});

test("a repair keeps what is being hit, and drops it when its chain is broken", async () => {
  for (const isBroken of [false, true]) {
    const { l1: main, clock, memory } = makeL1();
    const other = another(memory, clock, { workerId: 2 });
    put(main, "a", "text");
    const { words, layout } = new Arena(memory);
    let over: Promise<void> | undefined;
    const seen = other.hit(key("a"), 9, (_meta, extents) => {
      main.delete([key("a")]);
      if (isBroken) words[layout.at.entries + FIELD.extents] = -5;
      // A thread that died with the lock in its hands.
      words[layout.at.lock] = 3;
      over = main.takeOver(3);
      audit(memory);
      return text(extents);
    });
    await over;
    expect([seen, main.repairs, main.usage().usedBytes]).toEqual(["text", 1, 0]);
    audit(memory);
  }
});

test("lru keeps what was hit, also by a thread that has not had the lock since", () => {
  const { l1, clock, memory } = makeL1({ maxObjects: 100 }, { policy: "lru" });
  const other = another(memory, clock, { workerId: 2, policy: "lru" });
  for (let i = 0; i < 100; i++) put(l1, `k${i}`, "x");
  expect(hit(l1, "k0")).toBe("x");
  put(l1, "new", "x");
  expect([hit(l1, "k0"), hit(l1, "k1"), hit(l1, "k2")]).toEqual(["x", undefined, "x"]);
  // 64 hits of another thread are taken account of at once; that thread does nothing else.
  for (let i = 0; i < 64; i++) expect(hit(other, `k${3 + i}`)).toBe("x");
  for (let i = 0; i < 33; i++) put(l1, `new-${i}`, "x");
  expect(Array.from({ length: 64 }, (_, i) => hit(l1, `k${3 + i}`))).toEqual(Array(64).fill("x"));
  expect(hit(l1, "k99")).toBe(undefined);
  audit(memory, "lru");
});

test("lru does not take a hit for one of the object that has the same row later", () => {
  const { l1, clock, memory } = makeL1({ maxObjects: 3 }, { policy: "lru" });
  const other = another(memory, clock, { workerId: 2, policy: "lru" });
  put(l1, "a", "x");
  expect(hit(other, "a")).toBe("x");
  l1.delete([key("a")]);
  for (const name of ["b", "c", "d"]) put(l1, name, "x");
  other.touch([key("c")]);
  put(l1, "e", "x");
  expect(["b", "c", "d", "e"].map((name) => hit(l1, name))).toEqual([undefined, "x", "x", "x"]);
});

test("s3-fifo promotes what was hit twice, like what was read twice", () => {
  const { l1, memory } = makeL1({ maxObjects: 40 });
  for (let i = 0; i < 40; i++) put(l1, `k${i}`, "x");
  for (const name of ["k0", "k0", "k1"]) expect(hit(l1, name)).toBe("x");
  for (let i = 0; i < 39; i++) put(l1, `new-${i}`, "x");
  expect([hit(l1, "k0"), hit(l1, "k1"), hit(l1, "k2")]).toEqual(["x", undefined, undefined]);
  audit(memory);
});

test("hit samples the objects that reserveRead samples", () => {
  const { l1, told } = makeL1();
  for (let i = 0; i < 600; i++) put(l1, `k${i}`, "x");
  const samplesOf = (read: (name: string) => void) => {
    told.length = 0;
    for (let i = 0; i < 600; i++) read(`k${i}`);
    return told.filter(({ name }) => name === "l1.key.sampled");
  };
  const samples = samplesOf((name) => void hit(l1, name));
  expect(samples.length).toBeGreaterThan(0);
  expect(samples).toEqual(samplesOf((name) => void get(l1, name)));
});

test("hit gives objects in several pieces", () => {
  const { l1, memory } = makeL1({ sizeBytes: 128 * 1024 }, { admissionLimitBytes: 65_536 });
  for (let i = 0; i < 8; i++) put(l1, `k${i}`, String(i).repeat(16 * 1024 - 64));
  for (const name of ["k0", "k2", "k4"]) l1.delete([key(name)]);
  const bytes = Uint8Array.from({ length: 40_000 }, (_, i) => i * 7);
  const [result] = l1.reserveWrite([request("a", bytes.length)], "put");
  fill(staging(result).extents, bytes);
  l1.finishWrite([commit(staging(result), bytes.length)], "replace");
  const seen = l1.hit(key("a"), 65_536, (_meta, extents) => ({ pieces: extents.length, bytes: bytesOf(extents) }));
  expect(seen).toEqual({ pieces: 3, bytes });
  audit(memory);
});
