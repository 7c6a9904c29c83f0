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
