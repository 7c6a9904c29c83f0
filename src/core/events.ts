/**
 * How a component states a fact: never blocks, never throws, never awaits.
 * `Events` maps each event name to its fields; the catalogue in src/events is the one real map.
 */
export type Publish<Events> = <Name extends keyof Events & string>(name: Name, fields: Events[Name]) => void;

/** Why an object left for good, a tier or L1; the order is that of their codes in shared memory. */
export const LOSS_REASONS = [
  "watermark",
  "pressure",
  "quota",
  "capacity",
  "expired",
  "deleted",
  "cleared",
  "corrupt",
  "write_failed",
] as const;

/**
 * One of LOSS_REASONS. `write_failed`: a tier had taken a write that failed elsewhere, and could not get the old object
 * back.
 */
export type LossReason = (typeof LOSS_REASONS)[number];

/**
 * Why a key is a miss: how its last copy was lost; that it was not stored since the server started; or that it was, and
 * nobody remembers more.
 */
export const MISS_REASONS = ["never_stored", "unknown", ...LOSS_REASONS] as const;

/** One of MISS_REASONS. */
export type MissReason = (typeof MISS_REASONS)[number];

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
