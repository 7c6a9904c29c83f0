/**
 * Publishes an event; never blocks, throws or waits. `Events` maps event names to their fields: in production it is the
 * catalogue in src/events.
 */
export type Publish<Events> = <Name extends keyof Events & string>(name: Name, fields: Events[Name]) => void;

/** The reasons for which an object is lost from a tier. Their order gives their codes in shared memory. */
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

/** `write_failed`: the tier had stored a write that failed in another tier, and could not restore the old object. */
export type LossReason = (typeof LOSS_REASONS)[number];

/**
 * The reasons for a miss: the key was not stored since the server started (`never_stored`), its last copy was lost, or
 * it was stored and the removal history does not reach back far enough (`unknown`), or a tier with `on_error=miss`
 * could not answer (`tier_failed`).
 */
export const MISS_REASONS = ["never_stored", "unknown", ...LOSS_REASONS, "tier_failed"] as const;

/** The reason for a miss. */
export type MissReason = (typeof MISS_REASONS)[number];

/**
 * The index of the histogram bucket that holds `value`. As in OpenTelemetry, bounds are ascending inclusive upper
 * bounds, and the last bucket has none.
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
 * The mean of `count` non-negative values of one bucket, clamped to that bucket. Recording the mean `count` times then
 * gives the same bucket counts as recording each value, and the same sum but for rounding. Without the clamp, three
 * values of 0.1 have a mean of 0.10000000000000002, which belongs to the next bucket.
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

/** The trace and span that some work belongs to, as in the header `traceparent` (W3C Trace Context). */
export interface TraceContext {
  /** 32 hexadecimal digits, not all 0. */
  readonly traceId: string;
  /** 16 hexadecimal digits, not all 0. */
  readonly spanId: string;
  readonly sampled: boolean;
}

const SHAPE = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/**
 * Parses a `traceparent` (W3C Trace Context 3.2); undefined if it is invalid. From a future version it takes the known
 * part.
 */
export function parseTraceParent(text: string): TraceContext | undefined {
  const [, version, traceId = "", spanId = "", flags = "", rest] = SHAPE.exec(text) ?? [];
  if (version === undefined || version === "ff" || (version === "00" && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** Formats a context as a `traceparent`. */
export function formatTraceParent({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;
}

/** A request that is traced: its events carry details and can be put together. */
export interface TracedRequest {
  /** The `traceparent` of the response, which identifies the request in its events. */
  readonly requestId: string;
  /** The `traceparent` of the request itself, if it was valid. */
  readonly traceParent?: string;
}

/** Decides at the start of a request, by its `traceparent` (null: none), whether it is traced. */
export type TraceRequest = (traceParent: string | null) => TracedRequest | undefined;
