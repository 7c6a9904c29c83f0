import { VitrineError } from "../../core/errors.ts";
import type { SharedLock } from "./lock.ts";
import type { Tally } from "../tally.ts";

/**
 * Runs a section under the arena's lock and publishes what it did after the lock is given back, also when it throws.
 */
export type Locked = <T>(section: () => T) => T;

/**
 * Sections over one lock and one tally; they must not nest. `mend` runs, locked, before one that follows a section
 * which a thread's death has cut off, and after one that broke off by anything but a refusal.
 */
export function lockedSections(lock: SharedLock, tally: Tally, mend: () => void): Locked {
  return (section) => {
    const dead = lock.acquire();
    try {
      if (dead !== 0) mend();
      return section();
    } catch (error) {
      // A refusal leaves the tables consistent; a full stack or heap may not.
      if (!(error instanceof VitrineError)) mend();
      throw error;
    } finally {
      lock.release();
      tally.publish();
    }
  };
}
