import { setTimeout as wait } from "node:timers/promises";

/** Asks again until the answer is accepted or the time is up; the last answer either way. */
export async function until<T>(
  ask: () => Promise<T>,
  accept: (answer: T) => boolean,
  { timeoutMs, everyMs = 50 }: { readonly timeoutMs: number; readonly everyMs?: number },
): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (accept(answer) || performance.now() > deadlineMs) return answer;
    await wait(everyMs);
  }
}
