import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { allocateArena, Arena } from "../../src/l1/arena/arena.ts";
import { FIELD, STATE } from "../../src/l1/arena/entry.ts";
import { EntryList } from "../../src/l1/arena/entry_list.ts";
import { evictionPolicies, type EvictionPolicyName, openTables, type Tables } from "../../src/l1/tables.ts";
import { KeyBytes } from "../../src/l1/arena/key_bytes.ts";
import { GRANULE_BYTES } from "../../src/l1/arena/layout.ts";
import { same } from "./support.ts";

const names: readonly EvictionPolicyName[] = ["s3-fifo", "lru"];
const GRANULES = 1000;

/** Objects with a policy around them, as the life cycle drives it. */
class Cache {
  readonly tables: Tables;
  readonly resident = new Map<string, number>();
  readonly leased = new Set<string>();
  readonly #key = new KeyBytes(1);

  constructor(policy: EvictionPolicyName, maxObjects: number = GRANULES) {
    const memory = allocateArena({ sizeBytes: GRANULES * GRANULE_BYTES, maxObjects, hashSeed: 1 });
    this.tables = openTables(new Arena(memory), { workerId: 1, policy, format: true });
  }

  admit(key: string, granules: number = 1): boolean {
    const { allocator, entries, policy } = this.tables;
    const extents = allocator.allocate(granules);
    if (extents === -1 || !entries.hasFreeRow) return false;
    this.#key.set({ tenant: "", key });
    const head = { contentType: new Uint8Array(), sha256: "", headers: new Uint8Array(), tag: new Uint8Array() };
    const entry = entries.create(this.#key, head, { extents, granules, flags: 0, account: 0 });
    entries.set(entry, FIELD.state, STATE.resident);
    policy.admitted(entry);
    this.resident.set(key, entry);
    return true;
  }

  /** The key that leaves, or undefined if the policy has none to propose. */
  evict(): string | undefined {
    const { entries, policy } = this.tables;
    const entry = policy.victim((each) => !this.leased.has(entries.keyOf(each).key), 0);
    if (entry === -1) return undefined;
    const { key } = entries.keyOf(entry);
    same(this.leased.has(key), false);
    this.#remove(key, true);
    return key;
  }

  delete(key: string): void {
    if (this.resident.has(key)) this.#remove(key, false);
  }

  read(key: string): boolean {
    const entry = this.resident.get(key);
    if (entry !== undefined) this.tables.policy.touched(entry);
    return entry !== undefined;
  }

  /** A read through: a miss is admitted, and evicts while there are more than `most` objects. */
  get(key: string, most: number): boolean {
    if (this.read(key)) return true;
    while (this.resident.size >= most) this.evict();
    this.admit(key);
    return false;
  }

  /** Objects and granules that the policy's lists count, and by walking them. */
  listed(policy: EvictionPolicyName): { counted: [number, number]; walked: [number, number] } {
    const { arena, entries } = this.tables;
    const lists = (policy === "lru" ? [0] : [0, 1]).map((number) => new EntryList(arena, entries, number));
    let count = 0;
    let granules = 0;
    for (const list of lists) {
      for (let entry = list.tail; entry !== -1; entry = entries.get(entry, FIELD.newer)) {
        count++;
        granules += entries.get(entry, FIELD.granules);
      }
    }
    return {
      counted: [lists.reduce((sum, list) => sum + list.count, 0), lists.reduce((sum, list) => sum + list.granules, 0)],
      walked: [count, granules],
    };
  }

  #remove(key: string, evicted: boolean): void {
    const { entries, policy } = this.tables;
    const entry = this.resident.get(key) ?? -1;
    entries.unlink(entry);
    policy.removed(entry, evicted);
    entries.free(entry);
    this.resident.delete(key);
  }
}

const key = fc.integer({ min: 0, max: 25 }).map(String);
const action = fc.oneof(
  fc.record({ kind: fc.constantFrom("admit"), key, granules: fc.integer({ min: 1, max: 60 }) }),
  fc.record({ kind: fc.constantFrom("read", "read", "lease", "release", "delete", "evict"), key }),
);

test("evictionPolicies never propose what is leased, propose all else in the end, and keep their lists in order", () => {
  expect(Object.keys(evictionPolicies).toSorted()).toEqual(names.toSorted());
  for (const policy of names) {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 150, size: "max" }), (actions) => {
        const cache = new Cache(policy);
        for (const each of actions) {
          if (each.kind === "admit" && !cache.resident.has(each.key)) {
            cache.admit(each.key, "granules" in each ? each.granules : 1);
          }
          if (each.kind === "read") cache.read(each.key);
          if (each.kind === "lease" && cache.resident.has(each.key)) cache.leased.add(each.key);
          if (each.kind === "release") cache.leased.delete(each.key);
          if (each.kind === "delete" && !cache.leased.has(each.key)) cache.delete(each.key);
          if (each.kind === "evict") {
            const hasUnleased = [...cache.resident.keys()].some((each) => !cache.leased.has(each));
            expect(cache.evict() !== undefined).toBe(hasUnleased);
          }
        }
        const { counted, walked } = cache.listed(policy);
        expect(counted).toEqual(walked);
        expect(counted).toEqual([
          cache.resident.size,
          GRANULES - cache.tables.allocator.freeGranules,
        ]);
        const unleased = [...cache.resident.keys()].filter((each) => !cache.leased.has(each));
        const evicted = [];
        for (let each = cache.evict(); each !== undefined; each = cache.evict()) evicted.push(each);
        expect(evicted.toSorted()).toEqual(unleased.toSorted());
        for (const each of cache.leased) expect(cache.resident.has(each)).toBe(true);
      }),
      { numRuns: 60 },
    );
  }
});

test("lru evicts in the order of the last read", () => {
  const cache = new Cache("lru");
  for (const each of ["a", "b", "c", "d"]) cache.admit(each);
  cache.read("a");
  cache.read("c");
  cache.leased.add("b");
  expect([cache.evict(), cache.evict(), cache.evict(), cache.evict()]).toEqual(["d", "a", "c", undefined]);
  cache.leased.clear();
  expect(cache.evict()).toBe("b");
});

test("s3Fifo evicts what was read once or never before what was read again", () => {
  const cache = new Cache("s3-fifo");
  for (const each of ["once", "twice", "never", "thrice"]) cache.admit(each, 100);
  cache.read("once");
  for (let i = 0; i < 2; i++) cache.read("twice");
  for (let i = 0; i < 3; i++) cache.read("thrice");
  expect([cache.evict(), cache.evict()]).toEqual(["once", "never"]);
  expect([cache.evict(), cache.evict()]).toEqual(["twice", "thrice"]);
});

test("s3Fifo takes what comes back soon into the main queue", () => {
  const cache = new Cache("s3-fifo");
  for (const each of ["m1", "m2"]) {
    cache.admit(each, 50);
    for (let i = 0; i < 2; i++) cache.read(each);
  }
  cache.admit("back", 200);
  expect(cache.evict()).toBe("back");
  const main = new EntryList(cache.tables.arena, cache.tables.entries, 1);
  expect(main.count).toBe(2);
  cache.admit("back", 200);
  expect(main.count).toBe(3);
  cache.admit("new", 200);
  expect(main.count).toBe(3);
});

test("s3Fifo evicts from the main queue when all of the small one is leased, and the other way round", () => {
  const cache = new Cache("s3-fifo");
  cache.admit("main", 100);
  for (let i = 0; i < 2; i++) cache.read("main");
  cache.admit("small", 300);
  cache.leased.add("small");
  expect(cache.evict()).toBe("main");
  cache.leased.clear();
  expect(cache.evict()).toBe("small");
});

/** Numbers from 0 with a Zipf distribution (exponent 1), always the same. */
function* zipf(most: number): Generator<number, never> {
  let state = 12_345;
  const weight = Math.log(most + 1);
  for (;;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield Math.floor(Math.exp((state / 2 ** 32) * weight)) - 1;
  }
}

function hitsOf(policy: EvictionPolicyName, scanEvery: number): number {
  const cache = new Cache(policy);
  const keys = zipf(2000);
  let hits = 0;
  let scanned = 0;
  for (let i = 0; i < 20_000; i++) {
    if (cache.get(String(keys.next().value), 100)) hits++;
    if (i % scanEvery === 0) { for (let k = 0; k < 60; k++) cache.get(`scan${scanned++}`, 100); }
  }
  return hits;
}

test("s3Fifo hits at least as often as lru on a Zipf trace, and clearly more often when scans pass through", () => {
  expect(hitsOf("s3-fifo", Infinity)).toBeGreaterThanOrEqual(hitsOf("lru", Infinity));
  expect(hitsOf("s3-fifo", 200)).toBeGreaterThan(1.1 * hitsOf("lru", 200));
});
