import type { SharedLock } from "./lock.ts";
import type { Parts } from "../parts.ts";

/**
 * Time for which the memory of a thread that cannot be stopped is kept unchanged. A runtime that was asked to end the
 * thread does so within 2 s of its next step.
 */
const AFTERLIFE_MS = 5000;

/**
 * Ends a holder for good: fences it and expires its leases. The next thread to take the lock from it repairs the
 * tables. With `stillRuns`, its thread may still be working: its stagings are hidden at once, but its leased memory
 * stays unchanged for some seconds.
 */
export async function takeOver(
  { parts, lock, mend }: { readonly parts: Parts; readonly lock: SharedLock; readonly mend: () => void },
  holder: number,
  stillRuns: boolean,
): Promise<void> {
  lock.fence(holder, !stillRuns);
  let dead = lock.tryAcquire();
  // Does not block: the lock may be held by another dead thread, whose death this one has not noticed yet.
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
