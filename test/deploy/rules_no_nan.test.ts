import { expect, test } from "bun:test";
import { globSync, readFileSync } from "node:fs";

/** The `expr` of every rule, in one line or folded over several. */
function ruleExpressions(): readonly string[] {
  const texts = globSync("deploy/prometheus/rules/*.yml").map((path) => readFileSync(path, "utf8"));
  return texts.flatMap((text) =>
    [...text.matchAll(/^( +)expr: (?:>-\n((?:\1 +.*\n)+)|(.*)\n)/gm)].map(([, , folded, line]) => folded ?? line ?? "")
  );
}

/** The text in the brackets that open at an index. */
function inBrackets(text: string, open: number): string {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at] === "(") depth += 1;
    if (text[at] === ")") depth -= 1;
    if (depth === 0) return text.slice(open, at + 1);
  }
  throw new Error(`read brackets: not closed: ${text}`);
}

/** Divisions by what may be 0, and quantiles of what may be empty: NaN where nothing happened. */
function unguarded(expression: string): readonly string[] {
  const text = expression.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""').replaceAll(/\s+/g, " ").trim();
  const divisors = [...text.matchAll(/\/ ?(?:(?:on|ignoring|group_left|group_right) ?\([^)]*\) ?)*/g)]
    .map(({ index, 0: { length } }) => index + length)
    .filter((at) => text[at] !== "(" || !inBrackets(text, at).endsWith(" > 0)"));
  const quantiles = [...text.matchAll(/histogram_quantile/g)]
    .map(({ index, 0: { length } }) => index + length)
    .filter((at) => !text.slice(at + inBrackets(text, at).length).startsWith(" >= 0"));
  return [...divisors, ...quantiles].map((at) => text.slice(at));
}

test("unguarded finds divisions and quantiles that may give NaN", () => {
  expect(unguarded('a{route="/v1"} / b')).toEqual(["b"]);
  expect(unguarded("a / on (x) group_left () (sum(b))")).toEqual(["(sum(b))"]);
  expect(unguarded("a / on (x)\n  group_left () (sum(b) > 0)")).toEqual([]);
  expect(unguarded("histogram_quantile(0.5, sum by (le) (b))")).toEqual(["(0.5, sum by (le) (b))"]);
  expect(unguarded("histogram_quantile(0.5, sum by (le) (b)) >= 0")).toEqual([]);
});

test("rules give no number that is NaN when nothing happened", () => {
  const expressions = ruleExpressions();
  expect(expressions.length).toBeGreaterThan(15);
  expect(expressions.flatMap(unguarded)).toEqual([]);
});
