import type { Clock } from "../core/clock.ts";
import type { L1 } from "../l1/types.ts";
import type { Poller } from "./poller.ts";

/** How long to wait for what another thread is to store, in milliseconds. */
const SETTLE_MS = 1000;

/** A write that waits for its store and belongs to a request whose events carry details. */
export interface FollowedWrite {
  /** Of the object: no other has it. */
  readonly version: number;
  readonly requestId: string;
}

/** Who stores what L1 holds and the tiers do not have yet: this thread, or another. */
export interface Storing {
  /** There is something to store. */
  wake(followed?: FollowedWrite): void;
  /** Resolves when what was unsaved at the call is stored; after a while also if it is not. Never rejects. */
  settle(): Promise<void>;
}

/** Resolves when everything that was unsaved at `sinceMs` is stored, by whatever thread, or after a second. */
export async function allStored(
  { l1, clock, poller }: { readonly l1: Pick<L1, "unsavedUsage">; readonly clock: Clock; readonly poller: Poller },
  sinceMs: number,
): Promise<void> {
  const deadlineMs = clock.monotonicMs() + SETTLE_MS;
  await poller.until(() => {
    const { oldestMs = Infinity } = l1.unsavedUsage();
    return oldestMs > sinceMs || clock.monotonicMs() >= deadlineMs;
  });
}
