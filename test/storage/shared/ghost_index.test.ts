import { expect, test } from "bun:test";
import fc from "fast-check";
import { LOSS_REASONS } from "../../../src/core/events.ts";
import { KeyBytes } from "../../../src/l1/arena/key_bytes.ts";
import { GhostIndex } from "../../../src/storage/shared/ghost_index.ts";
import type { Loss } from "../../../src/storage/shared/ghost_table.ts";
import {
  allocateSharedKeys,
  GHOST,
  planSharedKeys,
  type SharedKeysMemory,
} from "../../../src/storage/shared/memory.ts";

const NOW_MS = 1_800_000_000_000;

const key = (name: number) => ({ tenant: name % 2 === 0 ? "" : "t", key: `kä${name}` });

/** One set of eight ways, so that a model knows what is forgotten. */
const oneSet = () => allocateSharedKeys({ hashSeed: 3, ghosts: GHOST.ways });

const byTier = (losses: readonly Loss[]) => losses.toSorted((a, b) => a.tier - b.tier);

test("GhostIndex agrees with a map of eight losses in every view, and counts those it forgets", () => {
  const step = fc.record({
    kind: fc.constantFrom("lost", "lost", "lost", "storing"),
    name: fc.nat(7),
    tier: fc.constantFrom(0, 1, 31),
    reason: fc.constantFrom(...LOSS_REASONS),
    laterMs: fc.integer({ min: 1, max: 2 ** 33 }),
    view: fc.nat(1),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const memory = oneSet();
    const views = [new GhostIndex(memory), new GhostIndex(memory)];
    const losses = new Map<string, { readonly name: number; readonly loss: Loss }>();
    const known = new Set<number>();
    let forgotten = 0;
    let atMs = NOW_MS;
    for (const { kind, name, tier, reason, laterMs, view } of steps) {
      known.add(name);
      if (kind === "storing") views[view]?.storing(key(name));
      else {
        atMs += laterMs;
        const loss = { tier, reason, atMs };
        const [oldest = ""] = losses.keys();
        if (!losses.delete(`${name} ${tier}`) && losses.size === GHOST.ways) {
          losses.delete(oldest);
          forgotten++;
        }
        losses.set(`${name} ${tier}`, { name, loss });
        views[view]?.lost(key(name), loss);
      }
      for (const each of views) {
        expect(each.forgotten).toBe(forgotten);
        for (let other = 0; other <= 7; other++) {
          const expected = [...losses.values()].flatMap(({ name: of, loss }) => of === other ? [loss] : []);
          const recalled = each.recall(key(other));
          expect({ losses: byTier(recalled.losses), wasHere: recalled.wasHere }).toEqual({
            losses: byTier(expected),
            wasHere: known.has(other),
          });
        }
      }
    }
  }));
});

test("GhostIndex knows one key by its text and by its bytes", () => {
  const index = new GhostIndex(oneSet());
  const bytes = new KeyBytes(99);
  bytes.set({ tenant: "té", key: "\ufeffschlüssel/😀" });
  index.lostEncoded(bytes, { tier: 0, reason: "pressure", atMs: NOW_MS });
  expect(index.recall({ tenant: "té", key: "\ufeffschlüssel/😀" }).losses).toEqual([
    { tier: 0, reason: "pressure", atMs: NOW_MS },
  ]);
  expect(index.recall({ tenant: "t", key: "é\ufeffschlüssel/😀" })).toEqual({ losses: [], wasHere: false });
});

test("GhostIndex drops the fraction of a millisecond", () => {
  const index = new GhostIndex(oneSet());
  index.lost(key(1), { tier: 2, reason: "corrupt", atMs: NOW_MS + 0.75 });
  expect(index.recall(key(1)).losses).toEqual([{ tier: 2, reason: "corrupt", atMs: NOW_MS }]);
});

function rowOf(memory: SharedKeysMemory): Int32Array {
  const at = planSharedKeys(memory.options).at.ghosts;
  return new Int32Array(memory.words).subarray(at, at + GHOST.words);
}

test("GhostIndex takes a row for empty when two threads, or one that died, left it half written", () => {
  const loss = fc.record({
    name: fc.nat(3),
    tier: fc.nat(31),
    reason: fc.constantFrom(...LOSS_REASONS),
    atMs: fc.integer({ min: NOW_MS, max: NOW_MS + 2 ** 33 }),
  });
  fc.assert(fc.property(loss, loss, fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }), (one, other, isOnes) => {
    const [first, second] = [one, other].map(({ name, ...rest }) => {
      const memory = oneSet();
      new GhostIndex(memory).lost(key(name), rest);
      return rowOf(memory);
    });
    const mixed = oneSet();
    rowOf(mixed).set(isOnes.map((isOne, word) => (isOne ? first : second)?.[word] ?? 0));
    const index = new GhostIndex(mixed);
    const found = [0, 1, 2, 3].flatMap((name) => index.recall(key(name)).losses.map((each) => ({ name, ...each })));
    const whole = [first, second].findIndex((row) => row?.every((word, i) => word === rowOf(mixed)[i]));
    expect(found).toEqual(whole === -1 ? [] : [whole === 0 ? one : other]);
    // The next loss takes its place.
    index.lost(key(4), { tier: 0, reason: "expired", atMs: NOW_MS });
    expect([index.recall(key(4)).losses.length, index.forgotten]).toEqual([1, 0]);
  }));
});

test("GhostIndex forgets no key that was here, and takes about one in forty others for one of them, at eight bits for each", () => {
  const index = new GhostIndex(allocateSharedKeys({ hashSeed: 3, storedKeysBytes: 16_384 }));
  const count = 16_384;
  for (let name = 0; name < count; name++) index.storing(key(name));
  let known = 0;
  let mistaken = 0;
  for (let name = 0; name < count; name++) {
    if (index.recall(key(name)).wasHere) known++;
    if (index.recall(key(count + name)).wasHere) mistaken++;
  }
  expect(known).toBe(count);
  expect(mistaken / count).toBeLessThan(0.045);
  expect(mistaken / count).toBeGreaterThan(0.01);
});

test("planSharedKeys refuses sizes of the ghost index that are no powers of two", () => {
  expect(() => planSharedKeys({ hashSeed: 0, ghosts: 12 })).toThrow(RangeError);
  expect(() => planSharedKeys({ hashSeed: 0, storedKeysBytes: 100 })).toThrow(RangeError);
});
