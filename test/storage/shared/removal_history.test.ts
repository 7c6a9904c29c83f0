import { expect, test } from "bun:test";
import fc from "fast-check";
import { LOSS_REASONS } from "../../../src/core/events.ts";
import { KeyBytes } from "../../../src/l1/arena/key_bytes.ts";
import { allocateSharedKeys, LOSS, planSharedKeys, type SharedKeysMemory } from "../../../src/storage/shared/memory.ts";
import { type Loss, RemovalHistory } from "../../../src/storage/shared/removal_history.ts";

const NOW_MS = 1_800_000_000_000;

const key = (name: number) => ({ tenant: name % 2 === 0 ? "" : "t", key: `kä${name}` });

/** One set of eight ways, so that a model knows what is forgotten. */
const oneSet = () => allocateSharedKeys({ hashSeed: 3, losses: LOSS.ways });

const byTier = (losses: readonly Loss[]) => losses.toSorted((a, b) => a.tier - b.tier);

test("RemovalHistory agrees with a map of eight losses in every view, and counts those it forgets", () => {
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
    const views = [new RemovalHistory(memory), new RemovalHistory(memory)];
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
        if (!losses.delete(`${name} ${tier}`) && losses.size === LOSS.ways) {
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
          expect({ losses: byTier(recalled.losses), wasStored: recalled.wasStored }).toEqual({
            losses: byTier(expected),
            wasStored: known.has(other),
          });
        }
      }
    }
  }));
});

test("RemovalHistory knows one key by its text and by its bytes", () => {
  const index = new RemovalHistory(oneSet());
  const bytes = new KeyBytes(99);
  bytes.set({ tenant: "té", key: "\ufeffschlüssel/😀" });
  index.lostEncoded(bytes, { tier: 0, reason: "pressure", atMs: NOW_MS });
  expect(index.recall({ tenant: "té", key: "\ufeffschlüssel/😀" }).losses).toEqual([
    { tier: 0, reason: "pressure", atMs: NOW_MS },
  ]);
  expect(index.recall({ tenant: "t", key: "é\ufeffschlüssel/😀" })).toEqual({ losses: [], wasStored: false });
});

test("RemovalHistory drops the fraction of a millisecond", () => {
  const index = new RemovalHistory(oneSet());
  index.lost(key(1), { tier: 2, reason: "corrupt", atMs: NOW_MS + 0.75 });
  expect(index.recall(key(1)).losses).toEqual([{ tier: 2, reason: "corrupt", atMs: NOW_MS }]);
});

function rowOf(memory: SharedKeysMemory): Int32Array {
  const at = planSharedKeys(memory.options).at.losses;
  return new Int32Array(memory.words).subarray(at, at + LOSS.words);
}

test("RemovalHistory takes a row for empty when two threads, or one that died, left it half written", () => {
  const loss = fc.record({
    name: fc.nat(3),
    tier: fc.nat(31),
    reason: fc.constantFrom(...LOSS_REASONS),
    atMs: fc.integer({ min: NOW_MS, max: NOW_MS + 2 ** 33 }),
  });
  fc.assert(fc.property(loss, loss, fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }), (one, other, isOnes) => {
    const [first, second] = [one, other].map(({ name, ...rest }) => {
      const memory = oneSet();
      new RemovalHistory(memory).lost(key(name), rest);
      return rowOf(memory);
    });
    const mixed = oneSet();
    rowOf(mixed).set(isOnes.map((isOne, word) => (isOne ? first : second)?.[word] ?? 0));
    const index = new RemovalHistory(mixed);
    const found = [0, 1, 2, 3].flatMap((name) => index.recall(key(name)).losses.map((each) => ({ name, ...each })));
    const whole = [first, second].findIndex((row) => row?.every((word, i) => word === rowOf(mixed)[i]));
    expect(found).toEqual(whole === -1 ? [] : [whole === 0 ? one : other]);
    // The next loss takes its place.
    index.lost(key(4), { tier: 0, reason: "expired", atMs: NOW_MS });
    expect([index.recall(key(4)).losses.length, index.forgotten]).toEqual([1, 0]);
  }));
});

test("RemovalHistory forgets no key that was here, and takes about one in forty others for one of them, at eight bits for each", () => {
  const index = new RemovalHistory(allocateSharedKeys({ hashSeed: 3, storedKeysBytes: 16_384 }));
  const count = 16_384;
  for (let name = 0; name < count; name++) index.storing(key(name));
  let known = 0;
  let mistaken = 0;
  for (let name = 0; name < count; name++) {
    if (index.recall(key(name)).wasStored) known++;
    if (index.recall(key(count + name)).wasStored) mistaken++;
  }
  expect(known).toBe(count);
  expect(mistaken / count).toBeLessThan(0.045);
  expect(mistaken / count).toBeGreaterThan(0.01);
});

test("planSharedKeys refuses sizes of the ghost index that are no powers of two", () => {
  expect(() => planSharedKeys({ hashSeed: 0, losses: 12 })).toThrow(RangeError);
  expect(() => planSharedKeys({ hashSeed: 0, storedKeysBytes: 100 })).toThrow(RangeError);
});
