import { expect, test } from "bun:test";
import fc from "fast-check";
import { quantile } from "../../../page/metrics/quantile.js";

const samples = (buckets: Readonly<Record<string, number>>) =>
  Object.entries(buckets).map(([le, value]) => ({ id: le, labels: { le }, value }));

test("quantile lies on the straight line between the bounds when a bucket holds the rank", () => {
  const buckets = samples({ "1": 10, "2": 30, "4": 40, "+Inf": 40 });
  expect(quantile(0.5, buckets)).toBe(1.5);
  expect(quantile(0.25, buckets)).toBe(1);
  expect(quantile(0.125, buckets)).toBe(0.5);
  expect(quantile(1, buckets)).toBe(4);
});

test("quantile is the last bound when the rank lies above it", () => {
  expect(quantile(0.99, samples({ "1": 1, "2": 1, "+Inf": 100 }))).toBe(2);
});

test("quantile adds the series up when there are several", () => {
  const series = [...samples({ "1": 1, "2": 1, "+Inf": 1 }), ...samples({ "1": 0, "2": 3, "+Inf": 3 })];
  expect(quantile(0.5, series)).toBeCloseTo(1 + 1 / 3, 12);
});

test("quantile is undefined when nothing was observed", () => {
  expect(quantile(0.5, [])).toBeUndefined();
  expect(quantile(0.5, samples({ "1": 0, "+Inf": 0 }))).toBeUndefined();
});

test("quantile stays in the bucket of the rank when values are any", () => {
  const bounds = [1, 2, 4, 8];
  const observed = fc.array(fc.double({ min: 0.001, max: 8, noNaN: true }), { minLength: 1 });
  fc.assert(fc.property(observed, fc.double({ min: 0.01, max: 1, noNaN: true }), (values, q) => {
    const counts = bounds.map((bound) => [String(bound), values.filter((value) => value <= bound).length] as const);
    const estimate = quantile(q, samples({ ...Object.fromEntries(counts), "+Inf": values.length })) ?? NaN;
    const exact = values.toSorted((a, b) => a - b)[Math.ceil(q * values.length) - 1] ?? NaN;
    const upper = bounds.find((bound) => exact <= bound) ?? Infinity;
    expect(estimate).toBeLessThanOrEqual(upper);
    expect(estimate).toBeGreaterThanOrEqual(bounds[bounds.indexOf(upper) - 1] ?? 0);
  }));
});
