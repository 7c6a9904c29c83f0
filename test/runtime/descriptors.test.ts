import { expect, test } from "bun:test";
import { Descriptors, limitOf } from "../../src/runtime/descriptors.ts";

test("limitOf reads the soft limit, and none where there is none", () => {
  const limits =
    "Limit   Soft Limit   Hard Limit   Units\nMax open files            1024                 524288               files\n";
  expect([
    limitOf(limits),
    limitOf("Max open files            unlimited            unlimited            files"),
    limitOf(""),
  ])
    .toEqual([1024, undefined, undefined]);
});

test("Descriptors.areLow is true when fewer are left than are kept in reserve", () => {
  expect([3, 1_000_000, undefined].map((limit) => new Descriptors(limit).areLow())).toEqual([true, false, false]);
});

test("Descriptors.room is what the limit leaves beside the reserve and what is open", () => {
  expect(new Descriptors(3).room()).toBe(0);
  expect(new Descriptors(1_000_000).room()).toBeGreaterThan(900_000);
});
