import { expect, test } from "bun:test";
import * as format from "../../page/format.js";

const cases: readonly (readonly [string, (value: number) => string, readonly (readonly [number, string])[]])[] = [
  ["formatCount", format.formatCount, [[0, "0"], [1234567, "1,234,567"]]],
  ["formatRate", format.formatRate, [
    [0, "0"],
    [0.001, "<0.01"],
    [0.25, "0.25"],
    [9.999, "10"],
    [12.34, "12.3"],
    [123.4, "123"],
    [12345.6, "12,346"],
  ]],
  ["formatBytes", format.formatBytes, [
    [0, "0 B"],
    [1023, "1,023 B"],
    [1024, "1 KiB"],
    [1536, "1.5 KiB"],
    [1024 ** 2 - 1, "1 MiB"],
    [25 * 1024 ** 3, "25 GiB"],
    [4096 * 1024 ** 4, "4,096 TiB"],
  ]],
  ["formatThroughput", format.formatThroughput, [[0, "0 B/s"], [999.6, "1 kB/s"], [2.5e9, "2.5 GB/s"]]],
  ["formatPercent", format.formatPercent, [
    [0, "0 %"],
    [1, "100 %"],
    [0.0004, "<0.1 %"],
    [0.9996, ">99.9 %"],
    [0.5, "50.0 %"],
    [0.97349, "97.3 %"],
  ]],
  ["formatLatency", format.formatLatency, [
    [0, "0 ms"],
    [0.00005, "50 µs"],
    [0.0009996, "1 ms"],
    [0.01234, "12.3 ms"],
    [0.9996, "1 s"],
    [7.5, "7.5 s"],
  ]],
  ["formatAge", format.formatAge, [[0, "0 s"], [75, "1 min"], [3 * 86_400 + 5, "3 d"]]],
  ["formatDuration", format.formatDuration, [
    [0, "0 s"],
    [59.9, "59 s"],
    [75, "1 min 15 s"],
    [3 * 3600 + 12 * 60, "3 h 12 min"],
    [2 * 86_400 + 3600, "2 d 1 h"],
  ]],
];

for (const [name, write, values] of cases) {
  test(`${name} writes what is expected when values are small, large and at the edge of a unit`, () => {
    expect(values.map(([value]) => [value, write(value)])).toEqual(values.map((pair) => [...pair]));
  });
}
