import { expect, test } from "bun:test";
import fc from "fast-check";
import { increase, MetricsWindow } from "../../page/metrics_window.js";
import { parseMetrics } from "../../page/scrape.js";

const grownOf = (...texts: readonly string[]) => increase(texts.map(parseMetrics));

test("increase is the difference when a counter grows", () => {
  expect(grownOf("n 1", "n 4", "n 10").sum("n")).toBe(9);
});

test("increase counts from zero when a counter begins anew", () => {
  expect(grownOf("n 100", "n 5", "n 7").sum("n")).toBe(7);
  expect(grownOf("n 100", "n 103", "n 5").sum("n")).toBe(8);
});

test("increase counts from zero when a series was not there before", () => {
  expect(grownOf('n{i="old"} 100', 'n{i="new"} 130').sum("n")).toBe(130);
});

test("increase knows nothing when there is one scrape or none", () => {
  expect([grownOf().isEmpty, grownOf("n 5").sum("n")]).toEqual([true, 0]);
});

test("increase is never negative and, without a reset, the whole difference when counters are any", () => {
  fc.assert(fc.property(fc.array(fc.nat(), { minLength: 2 }), (values) => {
    const sorted = values.toSorted((a, b) => a - b);
    expect(grownOf(...values.map((value) => `n ${value}`)).sum("n")).toBeGreaterThanOrEqual(0);
    expect(grownOf(...sorted.map((value) => `n ${value}`)).sum("n")).toBe((sorted.at(-1) ?? 0) - (sorted[0] ?? 0));
  }));
});

test("MetricsWindow looks back over its window when scrapes are regular, and over a pause when there was one", () => {
  const window = new MetricsWindow({ windowMs: 6000 });
  const add = (value: number, timeMs: number) => {
    const { grown, seconds } = window.add(parseMetrics(`n ${value}`), timeMs);
    return [grown.sum("n"), seconds];
  };
  expect(add(10, 1000)).toEqual([0, 0]);
  expect([3000, 5000, 7000].map((timeMs) => add(timeMs / 100, timeMs))).toEqual([[20, 2], [40, 4], [60, 6]]);
  expect(add(90, 9000)).toEqual([60, 6]);
  expect(add(690, 69_000)).toEqual([600, 60]);
});
