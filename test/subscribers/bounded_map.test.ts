import { expect, test } from "bun:test";
import { BoundedMap } from "../../src/subscribers/bounded_map.ts";

test("BoundedMap forgets the key that was set longest ago when it is full, and counts it", () => {
  const map = new BoundedMap<number>(2);
  map.set("a", 1);
  map.set("b", 2);
  map.set("a", 3);
  expect(map.numbers()).toEqual({ pending: 2, dropped: 0 });
  map.set("c", 4);
  expect(["a", "b", "c"].map((key) => map.get(key))).toEqual([3, undefined, 4]);
  expect(map.numbers()).toEqual({ pending: 2, dropped: 1 });
});

test("BoundedMap.take and takeOldestIf give a value once", () => {
  const map = new BoundedMap<number>(2);
  map.set("a", 3);
  map.set("b", 4);
  expect([map.takeOldestIf((value) => value > 3), map.takeOldestIf((value) => value === 3)]).toEqual([undefined, 3]);
  expect([map.take("b"), map.take("b"), map.take("a")]).toEqual([4, undefined, undefined]);
  expect(map.numbers()).toEqual({ pending: 0, dropped: 0 });
});
