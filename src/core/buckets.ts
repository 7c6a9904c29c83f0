/**
 * The index of the bucket that holds `value`: bounds are inclusive upper bounds, ascending, as in OpenTelemetry; the
 * last bucket has none.
 */
export function bucketOf(value: number, bounds: readonly number[]): number {
  let bucket = 0;
  for (const bound of bounds) {
    if (value <= bound) return bucket;
    bucket++;
  }
  return bucket;
}

/**
 * The mean of `count` non-negative values that all lie in `bucket`, never outside it. So whoever counts the mean
 * `count` times gets the same bucket counts as from the single values, and the same sum to rounding. Without the clamp
 * three values of 0.1 have the mean 0.10000000000000002, which belongs to the next bucket.
 */
export function meanIn(
  bucket: number,
  bounds: readonly number[],
  group: { readonly total: number; readonly count: number },
): number {
  const mean = group.total / group.count;
  const upper = bounds[bucket];
  if (upper !== undefined && mean > upper) return upper;
  const lower = bounds[bucket - 1];
  if (lower !== undefined && mean <= lower) return lower * (1 + Number.EPSILON);
  return mean;
}
