import { expect, test } from "bun:test";
import { formatTraceParent, parseTraceParent } from "../../src/core/trace_context.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

test("parseTraceParent reads what formatTraceParent writes", () => {
  for (const sampled of [true, false]) {
    const context = { traceId: TRACE, spanId: SPAN, sampled };
    expect(parseTraceParent(formatTraceParent(context))).toEqual(context);
  }
});

test("parseTraceParent takes the known part of a future version, and only the sampled bit of the flags", () => {
  expect(parseTraceParent(`cc-${TRACE}-${SPAN}-03-what-ever`)).toEqual({ traceId: TRACE, spanId: SPAN, sampled: true });
  expect(parseTraceParent(`00-${TRACE}-${SPAN}-fe`)?.sampled).toBe(false);
});

test("parseTraceParent refuses what the W3C refuses", () => {
  const bad = [
    "",
    `00-${TRACE}-${SPAN}`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE}-${SPAN}-0g`,
  ];
  expect(bad.filter((text) => parseTraceParent(text) !== undefined)).toEqual([]);
});
