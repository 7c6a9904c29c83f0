import type { Schedule } from "../timer.ts";

/** How something is repeated. */
export interface RepeatOptions {
  readonly schedule: Schedule;
  readonly everyMs: number;
}

/** Runs a function now and again and again, for a way that loses messages; returns what ends it. */
export function repeat(run: () => void, { schedule, everyMs }: RepeatOptions): () => void {
  let cancel = () => {};
  const turn = () => {
    cancel = schedule(turn, everyMs);
    run();
  };
  turn();
  return () => cancel();
}
