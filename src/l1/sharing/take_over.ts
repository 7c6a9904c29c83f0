import type { SharedLock } from "./lock.ts";
import type { Parts } from "../parts.ts";

/**
 * How long the memory of a thread that cannot be stopped is kept as it is. A runtime that was told to end it does so
 * within 2 s of its next step.
 */
const AFTERLIFE_MS = 5000;

/**
 * Ends a holder for good: fences it, and ends its leases as expired; whoever gets the lock out of its hands repairs the
 * tables. With `stillRuns`, its thread may be at work: its stagings are out of everybody's sight at once, but what it
 * has leased stays as it is for some seconds more.
 */
export async function takeOver(
  { parts, lock, mend }: { readonly parts: Parts; readonly lock: SharedLock; readonly mend: () => void },
  holder: number,
  stillRuns: boolean,
): Promise<void> {
  lock.fence(holder, !stillRuns);
  let dead = lock.tryAcquire();
  // Not asleep: the lock may be in the hands of another thread that is dead, of which this one has not heard yet.
  for (; dead === undefined; dead = lock.tryAcquire()) await lock.pause();
  try {
    if (dead !== 0) mend();
    parts.lifecycle.giveDirtyBack(holder);
    const isTheirs = (_deadlineMs: number, of: number) => of === holder;
    if (stillRuns) parts.lifecycle.disown(isTheirs, parts.options.clock.monotonicMs() + AFTERLIFE_MS);
    else parts.lifecycle.expireLeases(isTheirs);
  } finally {
    lock.release();
    parts.tally.publish();
  }
}
