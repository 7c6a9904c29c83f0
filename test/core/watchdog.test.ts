import { expect, test } from "bun:test";
import { MIN_MOVED_BYTES, TransferWatch } from "../../src/core/watchdog.ts";

/** A watch of 8 s, whose timer runs once a second of its fake clock. */
function watched() {
  let nowMs = 0;
  let timer: (() => void) | undefined;
  const watch = new TransferWatch({
    timeoutMs: 8000,
    nowMs: () => nowMs,
    every(_intervalMs, run) {
      timer = run;
      return () => timer = undefined;
    },
  });
  const pass = (seconds: number) => {
    for (let i = 0; i < seconds; i++) {
      nowMs += 1000;
      timer?.();
    }
  };
  return { watch, pass, hasTimer: () => timer !== undefined };
}

test("a transfer is slow once its client has moved less than the least in the whole time", () => {
  const { watch, pass, hasTimer } = watched();
  let slow = 0;
  const transfer = watch.begin(() => slow++);
  for (let i = 0; i < 7; i++) {
    transfer.waits();
    pass(1);
    transfer.moved(1);
  }
  transfer.waits();
  expect(slow).toBe(0);
  pass(1);
  expect(slow).toBe(1);
  pass(20);
  expect([slow, hasTimer()]).toEqual([1, false]);
});

test("a transfer that moves the least in less than the time goes on for ever", () => {
  const { watch, pass } = watched();
  let slow = 0;
  const transfer = watch.begin(() => slow++);
  for (let i = 0; i < 40; i++) {
    transfer.waits();
    pass(1);
    transfer.moved(MIN_MOVED_BYTES / 7 + 1);
  }
  expect(slow).toBe(0);
});

test("a client is not slow while it waits for the server", () => {
  const { watch, pass } = watched();
  let slow = 0;
  const transfer = watch.begin(() => slow++);
  for (let i = 0; i < 10; i++) {
    pass(100);
    transfer.waits();
    transfer.moved(1);
  }
  transfer.waits();
  pass(7);
  expect(slow).toBe(0);
  transfer.end();
  pass(100);
  expect(slow).toBe(0);
});
