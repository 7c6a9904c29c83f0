import { expect, test } from "bun:test";
import { allocateSharedKeys } from "../../../src/storage/shared/memory.ts";
import { releaseSeat } from "../../../src/storage/shared/release_seat.ts";
import { SharedKeys } from "../../../src/storage/shared/shared_keys.ts";
import type { Stripes } from "../../../src/storage/shared/stripes.ts";

/** So many threads' views of one memory, at places 0, 1, …, holders 1, 2, …; `kill` ends the one at a place. */
function views(count: number): { readonly stripes: readonly Stripes[]; readonly kill: (place: number) => void } {
  const memory = allocateSharedKeys({ places: count, hashSeed: 1, stripes: 8 });
  const stripes = Array.from(
    { length: count },
    (_, place) => new SharedKeys(memory, { place, holder: place + 1 }).stripes,
  );
  const kill = (place: number): void => releaseSeat(memory, { dead: { place, holder: place + 1 }, holder: 99 });
  return { stripes, kill };
}

test("Stripes.giveBack hands a stripe to each who waits in turn", () => {
  const { stripes } = views(3);
  const got = (): readonly number[] => stripes.flatMap((view, place) => view.tryTake(5) ? [place] : []);
  expect(got()).toEqual([0]);
  const order: number[] = [];
  for (let holder = 0, i = 0; i < 6; i += 1) {
    stripes[holder]?.giveBack(5);
    // Whoever gave it back asks first, and does not get it.
    const asked = [holder, ...[0, 1, 2].filter((place) => place !== holder)];
    const next = asked.find((place) => stripes[place]?.tryTake(5));
    order.push(holder = next ?? -1);
  }
  expect(order).toEqual([1, 2, 0, 1, 2, 0]);
});

test("Stripes.tryTake gets what a dead thread held, and nothing is handed to the dead", () => {
  const { stripes: [a, b, c], kill } = views(3);
  expect([a?.tryTake(1), b?.tryTake(1), c?.tryTake(1)]).toEqual([true, false, false]);
  kill(1);
  a?.giveBack(1);
  expect([a?.tryTake(1), c?.tryTake(1)]).toEqual([false, true]);
  kill(2);
  expect([a?.isBusy(1), a?.tryTake(1)]).toEqual([false, true]);
});

test("Stripes.sequence moves with takes, commits, exclusions and deaths, and not with what happens elsewhere", () => {
  const { stripes: [a, b], kill } = views(2);
  if (a === undefined || b === undefined) throw new Error("two views");
  const moves = (act: () => unknown): boolean => {
    const before = a.sequence(3);
    act();
    return a.sequence(3) !== before;
  };
  expect(moves(() => b.tryTake(3))).toBe(true);
  expect(moves(() => b.giveBack(3))).toBe(false);
  expect(moves(() => b.moved(3))).toBe(true);
  expect(moves(() => b.tryTake(4))).toBe(false);
  expect(moves(() => b.turn(3, () => {}))).toBe(false);
  expect(moves(() => kill(1))).toBe(true);
  expect(moves(() => a.tryExclude())).toBe(true);
});

test("Stripes.tryExclude waits for stripes and holds back whoever wants one", () => {
  const { stripes: [a, b, c], kill } = views(3);
  if (a === undefined || b === undefined || c === undefined) throw new Error("three views");
  b.tryTake(2);
  expect(c.tryTake(2)).toBe(false);
  expect([a.tryExclude(), c.tryExclude(), a.isQuiet()]).toEqual([true, false, false]);
  b.giveBack(2);
  expect([a.isQuiet(), c.tryTake(2), c.isBusy(2), c.excluded]).toEqual([true, false, true, true]);
  a.endExclusion();
  expect([c.tryTake(2), a.excluded]).toEqual([true, false]);
  expect([b.tryExclude(), a.isQuiet()]).toEqual([true, false]);
  kill(1);
  expect(a.excluded).toBe(false);
});

test("SharedKeys refuses a place that somebody has, and gives it to a replacement", () => {
  const memory = allocateSharedKeys({ places: 1, hashSeed: 1 });
  const first = new SharedKeys(memory, { place: 0, holder: 1 });
  expect(() => new SharedKeys(memory, { place: 0, holder: 2 })).toThrow("belongs to holder 1");
  expect(() => new SharedKeys(memory, { place: 1, holder: 2 })).toThrow(RangeError);
  releaseSeat(memory, { dead: { place: 0, holder: 1 }, holder: 99 });
  new SharedKeys(memory, { place: 0, holder: 2 }).assertSeated();
  expect(() => first.assertSeated()).toThrow("declared dead");
});
