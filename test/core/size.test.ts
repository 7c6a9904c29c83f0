import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatSize, parseSize } from "../../src/core/size.ts";

test("parseSize gives bytes when the text is a number with a unit of 1024s, of 1000s, or none", () => {
  const cases: readonly (readonly [string, number])[] = [
    ["0", 0],
    ["1024", 1024],
    ["1B", 1],
    ["1.5KiB", 1536],
    ["64MiB", 67_108_864],
    ["8GiB", 8_589_934_592],
    ["8Gi", 8_589_934_592],
    ["2TiB", 2_199_023_255_552],
    ["1KB", 1000],
    ["1k", 1000],
    ["64MB", 64_000_000],
    ["1G", 1_000_000_000],
    ["1.5GB", 1_500_000_000],
    ["2T", 2_000_000_000_000],
    ["1gib", 1_073_741_824],
    ["1gb", 1_000_000_000],
    ["1b", 1],
  ];
  expect(cases.map(([text]) => [text, parseSize(text)])).toEqual(cases.map((each) => [...each]));
});

test("formatSize gives a text that parseSize reads as the same number", () => {
  fc.assert(fc.property(fc.maxSafeNat(), (bytes) => expect(parseSize(formatSize(bytes))).toBe(bytes)));
  expect([0, 1, 1536, 65_536, 1_073_741_824].map(formatSize)).toEqual(["0B", "1B", "1536B", "64KiB", "1GiB"]);
});

test("parseSize gives undefined when the text is not a size or exceeds the exact integers", () => {
  const texts = ["", "KiB", "1iB", "1KiBs", "1 KiB", "-1", "1e3", ".5KiB", "1.", "1constructor", "1PiB", "9999999TiB"];
  expect(texts.filter((text) => parseSize(text) !== undefined)).toEqual([]);
});
