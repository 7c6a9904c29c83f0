import { expect, test } from "bun:test";
import { allocateSharedKeys } from "../../../src/storage/shared/memory.ts";
import { endClearing, SharedKeys } from "../../../src/storage/shared/shared_keys.ts";
import type { Stripes } from "../../../src/storage/shared/stripes.ts";

/** Two threads' views of one memory, with holders 1 and 2; `gone` is what main does after the end of one. */
function views(): { readonly a: Stripes; readonly b: Stripes; readonly gone: (holder: number) => void } {
  const memory = allocateSharedKeys({ hashSeed: 1, stripes: 8 });
  const [a, b] = [new SharedKeys(memory, 1).stripes, new SharedKeys(memory, 2).stripes];
  return { a, b, gone: (holder) => endClearing(memory, holder) };
}

test("Stripes.isBusy tells of a change in every view until it ends, or the next owner begins", () => {
  const { a, b } = views();
  a.begin(5);
  expect([b.isBusy(5), b.isBusy(4)]).toEqual([true, false]);
  a.end(5);
  expect(b.isBusy(5)).toBe(false);
  a.begin(5);
  b.reset();
  expect(a.isBusy(5)).toBe(false);
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
