import { type Clock, systemClock } from "../../../src/core/clock.ts";
import type { L1Options } from "../../../src/l1/tables.ts";

/** How every thread of threads.test.ts opens L1. */
export function threadOptions(workerId: number, clock: Clock = systemClock): L1Options {
  return {
    workerId,
    clock,
    publish: () => {},
    policy: "s3-fifo",
    admissionLimitBytes: 1024 * 1024,
    readLeaseMs: 60_000,
    writeLeaseMs: 60_000,
    highWatermark: 0.8,
    lowWatermark: 0.6,
    format: workerId === 1,
  };
}
