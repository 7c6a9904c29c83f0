import { expect, test } from "bun:test";
import { SharedTable, viewWords } from "../../src/core/shared_table.ts";

test("SharedTable keeps rows apart when neighbours and the words around them are written", () => {
  const memory = viewWords(new SharedArrayBuffer(4 * 13));
  const table = new SharedTable(memory, 2, 5);
  memory.words.fill(-1);
  for (const row of [0, 1]) for (let field = 0; field < 5; field++) table.set(row, field, 10 * row + field);
  expect([...memory.words]).toEqual([-1, -1, 0, 1, 2, 3, 4, 10, 11, 12, 13, 14, -1]);
  expect([table.get(1, 4), table.load(1, 4), memory.atomics.load(table.wordAt(1, 4))]).toEqual([14, 14, 14]);
});

test("SharedTable keeps a float64 in two words when its field is even", () => {
  const table = new SharedTable(viewWords(new ArrayBuffer(4 * 12)), 4, 4);
  table.set(1, 1, 7);
  table.setDouble(1, 2, Number.MAX_SAFE_INTEGER);
  table.setDouble(0, 2, Infinity);
  expect([table.getDouble(1, 2), table.getDouble(0, 2), table.get(1, 1)]).toEqual([
    Number.MAX_SAFE_INTEGER,
    Infinity,
    7,
  ]);
});

test("SharedTable changes a word in one step when two views share it", () => {
  const memory = new SharedArrayBuffer(64);
  const [one, other] = [new SharedTable(viewWords(memory), 0, 8), new SharedTable(viewWords(memory), 0, 8)];
  one.store(1, 3, 40);
  expect([other.add(1, 3, 2), one.load(1, 3)]).toEqual([40, 42]);
  const { atomics } = viewWords(memory);
  expect([atomics.replace(one.wordAt(1, 3), 41, 0), atomics.replace(one.wordAt(1, 3), 42, -1)]).toEqual([false, true]);
  expect(other.get(1, 3)).toBe(-1);
});
