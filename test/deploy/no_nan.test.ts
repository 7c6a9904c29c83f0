import { expect, test } from "bun:test";
import dashboard from "../../deploy/grafana/dashboards/vitrine.json" with { type: "json" };

const expressions: readonly string[] = [...JSON.stringify(dashboard).matchAll(/"expr":"((?:[^"\\]|\\.)*)"/g)].map(
  ([, expression = ""]) => JSON.parse(`"${expression}"`),
);

test("no expression of the dashboard is NaN when there is no data", () => {
  expect(expressions.length > 20).toBe(true);
  for (const expression of expressions) {
    // Each divisor is above zero, or there is no sample.
    const [, ...divisors] = expression.split(" / ");
    for (const divisor of divisors) expect(divisor.endsWith(" > 0)") ? "" : expression).toBe("");
    // A quantile of nothing is NaN, which compares with nothing.
    if (expression.includes("histogram_quantile")) expect(expression.endsWith(" >= 0") ? "" : expression).toBe("");
  }
});
