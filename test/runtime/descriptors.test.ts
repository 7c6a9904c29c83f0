import { expect, test } from "bun:test";
import { Descriptors, limitOf } from "../../src/runtime/descriptors.ts";

test("limitOf reads the soft limit, if there is one", () => {
  const limits =
    "Limit   Soft Limit   Hard Limit   Units\nMax open files            1024                 524288               files\n";
  expect([
    limitOf(limits),
    limitOf("Max open files            unlimited            unlimited            files"),
    limitOf(""),
  ])
    .toEqual([1024, undefined, undefined]);
});

test("Descriptors.areLow is true when only the reserve is left", () => {
  expect([3, 1_000_000, undefined].map((limit) => new Descriptors(limit).areLow())).toEqual([true, false, false]);
});

test("Descriptors.room is the limit less the reserve and the open descriptors", () => {
  expect(new Descriptors(3).room()).toBe(0);
  expect(new Descriptors(1_000_000).room()).toBeGreaterThan(900_000);
});
