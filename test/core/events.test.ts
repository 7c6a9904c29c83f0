import { expect, test } from "bun:test";
import { bucketOf, formatTraceParent, meanIn, parseTraceParent } from "../../src/core/events.ts";
import fc from "fast-check";

const BOUNDS = [0.00005, 0.0001, 0.1, 0.3, 1, 7.5];

/** Values with a preference for those on, just below and just above a bound. */
const value = fc.oneof(
  fc.double({ min: 0, max: 20, noNaN: true }),
  fc.constantFrom(...BOUNDS.flatMap((bound) => [bound, bound * (1 - Number.EPSILON), bound * (1 + Number.EPSILON)])),
);

test("bucketOf puts a value equal to a bound into the bucket below it", () => {
  expect(BOUNDS.map((bound) => bucketOf(bound, BOUNDS))).toEqual([0, 1, 2, 3, 4, 5]);
  expect(bucketOf(0, BOUNDS)).toBe(0);
  expect(bucketOf(7.6, BOUNDS)).toBe(6);
});

test("meanIn stays in the bucket when rounding would move the mean past a bound", () => {
  const total = 0.1 + 0.1 + 0.1;
  expect(total / 3).toBeGreaterThan(0.1);
  expect(meanIn(2, BOUNDS, { total, count: 3 })).toBe(0.1);
});

test("meanIn preserves the bucket and the sum for any values of one bucket", () => {
  fc.assert(fc.property(fc.array(value, { minLength: 1, maxLength: 200 }), (values) => {
    const byBucket = Map.groupBy(values, (one) => bucketOf(one, BOUNDS));
    for (const [bucket, members] of byBucket) {
      const total = members.reduce((sum, one) => sum + one, 0);
      const mean = meanIn(bucket, BOUNDS, { total, count: members.length });
      expect(bucketOf(mean, BOUNDS)).toBe(bucket);
      expect(Math.abs(mean * members.length - total)).toBeLessThanOrEqual(total * 1e-12 + 1e-300);
    }
  }));
});

test("meanIn stays in the bucket when many equal values are on a bound or just above one", () => {
  fc.assert(
    fc.property(fc.constantFrom(...BOUNDS), fc.boolean(), fc.integer({ min: 1, max: 5000 }), (bound, above, count) => {
      const one = above ? bound * (1 + Number.EPSILON) : bound;
      let total = 0;
      for (let added = 0; added < count; added++) total += one;
      const bucket = bucketOf(one, BOUNDS);
      expect(bucketOf(meanIn(bucket, BOUNDS, { total, count }), BOUNDS)).toBe(bucket);
    }),
  );
});

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
