import type { SharedLock } from "./lock.ts";
import type { Tally } from "./tally.ts";

/** Runs a section under the arena's lock and publishes what it did after the lock is given back, also when it throws. */
export type Locked = <T>(section: () => T) => T;

/** Sections over one lock and one tally; they must not nest. */
export function lockedSections(lock: SharedLock, tally: Tally): Locked {
  return (section) => {
    lock.acquire();
    try {
      return section();
    } finally {
      lock.release();
      tally.publish();
    }
  };
}
