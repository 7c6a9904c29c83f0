import { VitrineError } from "../../core/errors.ts";
import type { SharedLock } from "./lock.ts";
import type { Tally } from "../tally.ts";

/** Runs a critical section under the arena's lock and publishes its events after the release, even if it throws. */
export type Locked = <T>(section: () => T) => T;

/**
 * Critical sections over one lock and one tally; they must not nest. `mend` runs under the lock, before a section that
 * follows one interrupted by a thread's death, and after a section that throws anything but a VitrineError.
 */
export function lockedSections(lock: SharedLock, tally: Tally, mend: () => void): Locked {
  return (section) => {
    const dead = lock.acquire();
    try {
      if (dead !== 0) mend();
      return section();
    } catch (error) {
      // A VitrineError leaves the tables consistent; a stack overflow or a full heap may not.
      if (!(error instanceof VitrineError)) mend();
      throw error;
    } finally {
      lock.release();
      tally.publish();
    }
  };
}
