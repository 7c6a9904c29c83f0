import { expect, test } from "bun:test";
import { InFlight, retryMs } from "../../src/l2/calls.ts";
import { Gate } from "../support/gate.ts";

test("InFlight.room waits while the limit is reached", async () => {
  const tasks = new InFlight(2);
  const gates = [new Gate(), new Gate()];
  for (const gate of gates) {
    await tasks.room();
    tasks.start(gate.wait());
  }
  let hasRoom = false;
  const room = tasks.room().then(() => (hasRoom = true));
  await Promise.resolve();
  expect(hasRoom).toBe(false);
  gates[1]?.open();
  await room;
  gates[0]?.open();
  await tasks.done();
});

test("InFlight throws the first failure when room is asked for, and when all have ended", async () => {
  const tasks = new InFlight(3);
  tasks.start(Promise.reject(new Error("first")));
  tasks.start(Promise.resolve().then(() => Promise.reject(new Error("second"))));
  await tasks.settled();
  await expect(tasks.room()).rejects.toThrow("first");
  await expect(tasks.done()).rejects.toThrow("first");
});

test("retryMs grows from at most 100 ms to at most 3 s and stays above half of that", () => {
  for (let failures = 1; failures < 40; failures += 1) {
    const most = Math.min(3000, 50 * 2 ** failures);
    const ms = retryMs(failures);
    expect(ms).toBeGreaterThanOrEqual(most / 2);
    expect(ms).toBeLessThanOrEqual(most);
  }
});
