import { expect, test } from "bun:test";
import { Pending } from "../../src/subscribers/pending.ts";

test("Pending gives up what began first when too much waits, and counts it", () => {
  const pending = new Pending<number>(2);
  for (const [value, id] of ["a", "b", "c"].entries()) pending.add(id, value);
  expect([pending.take("a"), pending.get("b"), pending.take("c"), pending.take("c")]).toEqual([
    undefined,
    1,
    2,
    undefined,
  ]);
  expect(pending.numbers()).toEqual({ pending: 1, dropped: 1 });
});
