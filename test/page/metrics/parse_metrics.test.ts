import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseMetrics } from "../../../page/metrics/parse_metrics.js";

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
