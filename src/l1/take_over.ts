import type { SharedLock } from "./lock.ts";
import type { Parts } from "./parts.ts";
import { repair } from "./repair.ts";

/** How long a thread that cannot be stopped may be seen in one locked section, in milliseconds: sections take microseconds, being preempted takes some tens of them. */
const PATIENCE_MS = 500;
/** How long the memory of such a thread is kept as it is. A runtime that was told to end it does so within 2 s of its next step. */
const AFTERLIFE_MS = 5000;

/** What a dead holder left. */
export interface TakenOver {
  /** Whether it died in a locked section, so that the tables were repaired. */
  readonly wasLocked: boolean;
}

/**
 * Ends a holder for good: fences it, takes the lock out of its hands and repairs the tables if it died in a section, and ends its
 * leases as expired. With `stillRuns`, its thread may be at work: its stagings are out of everybody's sight at once, but what it has leased stays as it is
 * for some seconds more.
 */
export function takeOver(
  { parts, lock, nowMs }: { readonly parts: Parts; readonly lock: SharedLock; readonly nowMs: number },
  holder: number,
  stillRuns: boolean,
): TakenOver {
  lock.fence(holder);
  const wasLocked = lock.acquireFrom(holder, stillRuns ? PATIENCE_MS : 0);
  try {
    if (wasLocked) repair(parts);
    const isTheirs = (_deadlineMs: number, of: number) => of === holder;
    if (stillRuns) parts.lifecycle.disown(isTheirs, nowMs + AFTERLIFE_MS);
    else parts.lifecycle.expireLeases(isTheirs);
  } finally {
    lock.release();
    parts.tally.publish();
  }
  return { wasLocked };
}
