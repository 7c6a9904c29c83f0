import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseMetrics, quantile } from "../../page/scrape.js";

const escaped = (value: string) => value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
const written = (value: number) => String(value).replace("Infinity", "Inf");

const name = fc.stringMatching(/^[a-z_:][a-z0-9_:]{0,8}$/);
const labels = fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-z_][a-z0-9_]{0,6}$/), fc.string({ unit: "grapheme" })), {
  maxLength: 4,
  selector: ([label]) => label,
});
// Text knows no negative zero.
const value = fc.oneof(fc.double({ noNaN: true }), fc.nat()).map((number) => number === 0 ? 0 : number);

test("parseMetrics reads every series back when labels hold any characters", () => {
  fc.assert(fc.property(fc.array(fc.record({ name, labels, value })), (series) => {
    const text = series.map(({ name, labels, value }) => {
      const pairs = labels.map(([label, text]) => `${label}="${escaped(text)}"`).join(",");
      return `# HELP ${name} Anything.\n${name}${pairs === "" ? "" : `{${pairs}}`} ${written(value)}\n`;
    }).join("");
    const scrape = parseMetrics(text);
    for (const name of new Set(series.map((each) => each.name))) {
      const expected = series.filter((each) => each.name === name)
        .map(({ labels, value }) => [Object.fromEntries(labels), value]);
      expect(scrape.samples(name).map(({ labels, value }) => [labels, value])).toEqual(expected);
    }
    expect(scrape.isEmpty).toBe(series.length === 0);
  }));
});

test("parseMetrics takes line separators of Unicode as any other character when a label holds them", () => {
  const scrape = parseMetrics('a{b="x\u2028y\r\u2029\\\\"} 5\n');
  expect(scrape.samples("a").map(({ labels, value }) => [labels["b"], value])).toEqual([["x\u2028y\r\u2029\\", 5]]);
});

test("parseMetrics reads NaN, infinities and time stamps when they are there", () => {
  const scrape = parseMetrics("a NaN\nb +Inf 1700000000000\nc -Inf\n");
  expect([scrape.sum("a"), scrape.sum("b"), scrape.sum("c")]).toEqual([NaN, Infinity, -Infinity]);
});

test("parseMetrics throws when a line is no sample", () => {
  for (const line of ["<html>", "a", "a{b=c} 1", "a one", 'a{b="c} 1']) {
    expect(() => parseMetrics(`ok 1\n${line}\n`)).toThrow("parse metrics");
  }
});

test("Scrape sums by label and condition when it is asked, and counts a missing metric as zero", () => {
  const scrape = parseMetrics('n{t="a",r="hit"} 1\nn{t="b",r="hit"} 2\nn{t="a",r="miss"} 4\nn 8\n');
  expect(scrape.sum("n", ({ r }) => r === "hit")).toBe(3);
  expect(Object.fromEntries(scrape.by("n", "t"))).toEqual({ a: 5, b: 2, "": 8 });
  expect([scrape.sum("none"), scrape.by("none", "t").size]).toEqual([0, 0]);
});

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
