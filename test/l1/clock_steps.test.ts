import { expect, test } from "bun:test";
import { makeL1, request, staging } from "./support.ts";

const HOUR_MS = 3_600_000;
const KEY = { tenant: "", key: "a" };

function write(l1: ReturnType<typeof makeL1>["l1"], createdMs: number, expiresMs: number): void {
  const { lease } = staging(l1.reserveWrite([request("a", 10)], "w")[0]);
  l1.finishWrite([{ lease, sizeBytes: 10, crc32: 0, version: 1, createdMs, expiresMs }], "replace");
}

test("L1 keeps leases when wall time steps forward by an hour, and lets them run out by the monotonic clock when it steps back", () => {
  const { l1, clock } = makeL1();
  write(l1, clock.now, 0);
  const [read] = l1.reserveRead([KEY]);
  const { lease } = staging(l1.reserveWrite([request("b", 10)], "w")[0]);
  clock.stepMs = HOUR_MS;
  l1.tick();
  expect([read !== undefined && l1.isCurrent(read.lease), l1.renew(lease)]).toEqual([true, true]);
  clock.stepMs = -HOUR_MS;
  clock.now += 2000;
  l1.tick();
  expect([read !== undefined && l1.isCurrent(read.lease), l1.renew(lease)]).toEqual([false, false]);
});

test("L1 gives no object beyond its expiry by wall time when that steps forward, and none that it has removed when it steps back", () => {
  const { l1, clock } = makeL1();
  write(l1, clock.now, clock.now + 600_000);
  expect(l1.peek(KEY)).toBeDefined();
  clock.stepMs = HOUR_MS;
  expect([l1.peek(KEY), l1.reserveRead([KEY])[0]]).toEqual([undefined, undefined]);
  clock.stepMs = -HOUR_MS;
  expect(l1.peek(KEY)).toBeUndefined();
  expect(l1.usage().oldestAgeSeconds).toBe(0);
});
