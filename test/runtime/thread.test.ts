import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import {
  loadedThreads,
  loadThread,
  ownThreadId,
  parseThreadStat,
  startThread,
  threadUsage,
} from "../../src/runtime/thread.ts";

const ECHO = new URL("./echo_thread.ts", import.meta.url);
const FAILING = new URL("./failing_thread.ts", import.meta.url);

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

/** Starts a thread of echo_thread.ts with messages right behind its data; what it sends back. */
async function echoed(name: string): Promise<readonly string[]> {
  const heard: string[] = [];
  const all = Promise.withResolvers<void>();
  const exit = Promise.withResolvers<void>();
  const thread = startThread<string, string>(ECHO, { name }, {
    onMessage(text) {
      heard.push(text);
      if (text === "last") all.resolve();
    },
    onError: all.reject,
    onExit: exit.resolve,
  });
  for (const text of ["first", "last"]) thread.post(text);
  await all.promise;
  await thread.terminate();
  return heard;
}

test("startThread gives a thread its data, and every message that comes before it listens, loaded or not", async () => {
  expect(await echoed("fresh")).toEqual(["fresh", "first", "last"]);
  loadThread(ECHO);
  expect(loadedThreads(ECHO)).toBe(1);
  expect(await echoed("loaded")).toEqual(["loaded", "first", "last"]);
  expect(loadedThreads(ECHO)).toBe(0);
});

test("startThread reports the error of a module that cannot be loaded, also if it was tried before", async () => {
  for (const isLoaded of [false, true]) {
    if (isLoaded) loadThread(FAILING);
    const failed = Promise.withResolvers<unknown>();
    const ended = Promise.withResolvers<void>();
    startThread(FAILING, {}, { onMessage() {}, onError: failed.resolve, onExit: ended.resolve });
    expect(String(await failed.promise)).toContain("on purpose");
    await ended.promise;
  }
});
