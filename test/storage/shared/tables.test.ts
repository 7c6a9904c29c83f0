import { expect, test } from "bun:test";
import fc from "fast-check";
import { allocateSharedKeys } from "../../../src/storage/shared/memory.ts";
import { SharedKeys } from "../../../src/storage/shared/shared_keys.ts";

const key = (name: number) => ({ tenant: "", key: `k${name}` });

test("StaleTable agrees with a set of marks in every view", () => {
  const step = fc.record({
    kind: fc.constantFrom("add", "add", "remove", "clear", "recount"),
    name: fc.nat(12),
    tier: fc.nat(2),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const memory = allocateSharedKeys({ hashSeed: 3, maxStaleKeys: 8 });
    const tables = [1, 2].map((holder) => new SharedKeys(memory, holder).stale);
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
  const sources = [1, 2].map((holder) => new SharedKeys(memory, holder).versions);
  const versions = [10, 10, 9, 11, 11].map((ms, i) => sources[i % 2]?.next(ms));
  expect(versions).toEqual([10_240, 10_241, 10_242, 11_264, 11_265]);
});
