import type { Clock } from "../core/clock.ts";

/** Makes versions for ObjectMeta.version: milliseconds * 1024 + a sequence number; grows strictly, also while the clock stands still or steps back. */
export function versionSource(clock: Clock): () => number {
  let last = 0;
  return () => {
    last = Math.max(last + 1, Math.floor(clock.nowMs()) * 1024);
    return last;
  };
}
