import type { Schedule } from "../timer.ts";

/** How something is repeated. */
export interface RepeatOptions {
  readonly schedule: Schedule;
  /** The first pause; each is twice as long as the one before it, up to 16 times this. */
  readonly everyMs: number;
}

const MAX_BACKOFF = 16;

/**
 * Runs a function now and again and again, for a way that loses messages; returns what ends it. The pauses grow,
 * because what does not answer is more often busy than deaf, and each repetition is more work for it.
 */
export function repeat(run: () => void, { schedule, everyMs }: RepeatOptions): () => void {
  let cancel = () => {};
  let backoff = 1;
  const turn = () => {
    cancel = schedule(turn, everyMs * backoff);
    backoff = Math.min(MAX_BACKOFF, 2 * backoff);
    run();
  };
  turn();
  return () => cancel();
}
