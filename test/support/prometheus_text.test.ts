import { expect, test } from "bun:test";
import { parsePrometheusText } from "./prometheus_text.ts";

test("parsePrometheusText returns names, labels and values when a page has comments and timestamps", () => {
  const text = `# HELP a_total Things.
# TYPE a_total counter
a_total 3

b{x="1",y="two"} 1.5 1700000000000
c_bucket{le="+Inf"} 7
`;
  expect(parsePrometheusText(text)).toEqual([
    { name: "a_total", labels: {}, value: 3 },
    { name: "b", labels: { x: "1", y: "two" }, value: 1.5 },
    { name: "c_bucket", labels: { le: "+Inf" }, value: 7 },
  ]);
});

test("parsePrometheusText undoes escapes when a label value has them", () => {
  const [sample] = parsePrometheusText(String.raw`a{b="q\"c\\n, }\n"} +Inf`);
  expect(sample).toEqual({ name: "a", labels: { b: 'q"c\\n, }\n' }, value: Number.POSITIVE_INFINITY });
});

test("parsePrometheusText throws when a line, a label or a value is damaged", () => {
  for (const bad of ["a", "a 1 x", 'a{b="c} 1', 'a{b=c"} 1', "a one"]) {
    expect(() => parsePrometheusText(bad)).toThrow("Prometheus text");
  }
});
