import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { apart, batchesOf } from "../../scripts/test_batches.ts";

const small = (count: number) => Array.from({ length: count }, (_, index) => `test/core/${index}.test.ts`);

test("batchesOf gives every file once, the long ones first and alone, the others in order and up to eight together", () => {
  const files = ["test/compose/tls.test.ts", ...small(17), "test/storage/linearizability.test.ts"];
  expect(batchesOf(files)).toEqual([
    ["test/storage/linearizability.test.ts"],
    ["test/compose/tls.test.ts"],
    small(8),
    small(16).slice(8),
    small(17).slice(16),
  ]);
});

test("batchesOf gives one batch when a few files are asked for, and none when there is no file", () => {
  expect(batchesOf(small(3))).toEqual([small(3)]);
  expect(batchesOf([])).toEqual([]);
});

test("what is named as long is there", () => {
  expect(apart.filter((path) => !existsSync(path))).toEqual([]);
});
