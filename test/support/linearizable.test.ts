import { expect, test } from "bun:test";
import { type Call, isLinearizable } from "./linearizable.ts";

const put = (start: number, end: number, name: string): Call => ({ start, end, label: name, apply: () => [name] });
const get = (start: number, end: number, name: string | undefined): Call => ({
  start,
  end,
  label: `${name}`,
  apply: (value) => value === name ? [value] : [],
});

test("isLinearizable accepts what one register can answer", () => {
  expect(isLinearizable([])).toBe(true);
  expect(isLinearizable([put(0, 3, "a"), get(1, 2, undefined), get(4, 5, "a")])).toBe(true);
  expect(isLinearizable([put(0, 9, "a"), put(1, 8, "b"), get(2, 3, "b"), get(4, 5, "a"), get(10, 11, "a")])).toBe(true);
});

test("isLinearizable refuses what no register can answer", () => {
  expect(isLinearizable([put(0, 1, "a"), get(2, 3, undefined)])).toBe(false);
  expect(isLinearizable([put(0, 5, "a"), get(1, 2, "a"), get(3, 4, undefined)])).toBe(false);
  expect(isLinearizable([put(0, 1, "a"), put(2, 9, "b"), get(3, 4, "b"), get(5, 6, "a")])).toBe(false);
});

test("isLinearizable takes long histories when few calls run at once", () => {
  const calls = Array.from(
    { length: 1000 },
    (_, i) => [put(4 * i, 4 * i + 2, `v${i}`), get(4 * i + 1, 4 * i + 3, `v${i}`)],
  );
  expect(isLinearizable(calls.flat())).toBe(true);
  expect(isLinearizable([...calls.flat(), get(4001, 4002, "v0")])).toBe(false);
});
