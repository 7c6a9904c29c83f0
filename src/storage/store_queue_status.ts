import type { Clock } from "../core/clock.ts";
import type { L1 } from "../l1/types.ts";
import type { StorageStatus } from "./types.ts";

/** What is acknowledged and not stored yet, of all threads. */
export function storeQueueStatus(
  { l1, clock }: { readonly l1: Pick<L1, "unsavedUsage">; readonly clock: Clock },
): StorageStatus["storeQueue"] {
  const { entries, bytes, storing, oldestMs } = l1.unsavedUsage();
  const now = clock.monotonicMs();
  return { entries, bytes, inFlight: storing, oldestAgeSeconds: Math.max(0, now - (oldestMs ?? now)) / 1000 };
}
