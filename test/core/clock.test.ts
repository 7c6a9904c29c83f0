import { afterEach, expect, test } from "bun:test";
import { SystemClock } from "../../src/core/clock.ts";

const realNow = Date.now;

afterEach(() => {
  Date.now = realNow;
});

/** Time until the clock checks the system's again. */
function aMillisecond(): void {
  for (const fromMs = performance.now(); performance.now() - fromMs < 1.1;);
}

test("SystemClock follows wall time in both directions, and its monotonic time does not, when the system's clock is set", () => {
  const clock = new SystemClock();
  for (const stepMs of [3_600_000, -3_600_000, 0]) {
    const before = clock.monotonicMs();
    Date.now = () => realNow() + stepMs;
    aMillisecond();
    expect(Math.abs(clock.nowMs() - Date.now())).toBeLessThan(50);
    expect(clock.monotonicMs() - before).toBeGreaterThanOrEqual(1);
    expect(clock.monotonicMs() - before).toBeLessThan(60_000);
  }
});

test("SystemClock continues the monotonic time of the thread that starts it, even if wall time was set meanwhile", () => {
  const wallMs = realNow();
  const clock = new SystemClock({ wallMs, monotonicMs: 5000 });
  expect(clock.monotonicMs()).toBeGreaterThanOrEqual(4999);
  expect(clock.monotonicMs()).toBeLessThan(65_000);
  // It was set back, or far forward, while this thread started.
  for (const stepMs of [3_600_000, -3_600_000]) {
    const stepped = new SystemClock({ wallMs: wallMs + stepMs, monotonicMs: 5000 });
    expect(stepped.monotonicMs()).toBeGreaterThanOrEqual(5000);
    expect(stepped.monotonicMs()).toBeLessThan(5000 + performance.now() + 1000);
  }
});
