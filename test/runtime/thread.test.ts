import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { ownThreadId, parseThreadStat, threadUsage } from "../../src/runtime/thread.ts";

const STAT = (name: string, state: string) =>
  `11701 (${name}) ${state} 11692 11692 3081 0 -1 4194368 765 0 0 0 73 2 0 0 20 0 7 0 105246 6710730752 9494\n`;

test("parseThreadStat reads the state, CPU time and start, whatever the thread's name is", () => {
  expect(parseThreadStat(STAT("Worker", "R"))).toEqual({ startedAt: 105_246, isRunnable: true, cpuMs: 750 });
  expect(parseThreadStat(STAT("R) Z 1 (", "S"))).toEqual({ startedAt: 105_246, isRunnable: false, cpuMs: 750 });
  expect([parseThreadStat(STAT("a", "Z")), parseThreadStat(STAT("a", "X"))]).toEqual(["ended", "ended"]);
  expect(parseThreadStat("")).toBe(undefined);
});

test("threadUsage reports this thread, a thread that has ended, and undefined for an unknown id", () => {
  expect(threadUsage(0)).toBe(undefined);
  const id = ownThreadId();
  expect(id > 0).toBe(existsSync("/proc/thread-self"));
  if (id === 0) return;
  expect(threadUsage(id)).toMatchObject({ isRunnable: true });
  expect(threadUsage(2 ** 22 + 1)).toBe("ended");
});
