import { expect, test } from "bun:test";
import { parseSize } from "../../src/core/size.ts";

test("parseSize gives bytes when the text is a number with a binary unit or none", () => {
  expect(["0", "1B", "1.5KiB", "64MiB", "8GiB", "2TiB"].map(parseSize)).toEqual([
    0,
    1,
    1536,
    67_108_864,
    8_589_934_592,
    2_199_023_255_552,
  ]);
});

test("parseSize gives undefined when the text is not a size or exceeds the exact integers", () => {
  const texts = ["", "KiB", "1KB", "1kib", "1 KiB", "-1", "1e3", ".5KiB", "1constructor", "9999999TiB"];
  expect(texts.filter((text) => parseSize(text) !== undefined)).toEqual([]);
});
