import type { Schedule } from "../timer.ts";

/** Whether something came about in time. */
export function within(
  done: Promise<unknown>,
  { schedule, deadlineMs }: { readonly schedule: Schedule; readonly deadlineMs: number },
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const cancel = schedule(() => resolve(false), deadlineMs);
    done.then(() => resolve(true), reject).finally(cancel);
  });
}
