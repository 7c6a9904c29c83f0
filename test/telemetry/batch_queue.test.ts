import { expect, test } from "bun:test";
import { BatchQueue } from "../../src/telemetry/push/batch_queue.ts";
import { ExportCounts, type PushEnd } from "../../src/telemetry/push/push_end.ts";

interface Timer {
  readonly run: () => void;
  readonly delayMs: number;
}

/** A queue whose timers and exporter are worked by hand. */
function bench() {
  const timers = new Set<Timer>();
  const sent: { readonly items: readonly number[]; readonly done: (end: PushEnd) => void }[] = [];
  const counts = new ExportCounts();
  const queue = new BatchQueue<number>({
    send: (items, done) => sent.push({ items, done }),
    counts,
    maxQueue: 4,
    maxBatch: 3,
    delayMs: 10,
    timeoutMs: 1000,
    schedule(run, delayMs) {
      const timer = { run, delayMs };
      timers.add(timer);
      return () => timers.delete(timer);
    },
  });
  const fire = (delayMs: number) => {
    const due = [...timers].filter((timer) => timer.delayMs === delayMs);
    for (const timer of due) {
      timers.delete(timer);
      timer.run();
    }
    return due.length;
  };
  return { queue, sent, counts, timers, fire };
}

/** Until what was promised so far has happened. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await Promise.resolve();
}

test("BatchQueue sends what waits after the delay, and a full batch at once", async () => {
  const { queue, sent, fire, timers } = bench();
  queue.add(1);
  expect(sent).toEqual([]);
  expect(fire(10)).toBe(1);
  expect(sent.map(({ items }) => items)).toEqual([[1]]);
  sent[0]?.done({});
  await settled();
  for (const item of [2, 3, 4]) queue.add(item);
  expect(sent.map(({ items }) => items)).toEqual([[1], [2, 3, 4]]);
  sent[1]?.done({});
  await settled();
  expect(queue.numbers()).toEqual({ exported: 4, failed: 0, dropped: 0, queued: 0 });
  expect(timers.size).toBe(0);
});

test("BatchQueue drops and counts what comes while it is full, and sends the rest when the exporter answers", async () => {
  const { queue, sent, counts } = bench();
  for (let item = 1; item <= 10; item++) queue.add(item);
  expect(queue.numbers()).toEqual({ exported: 0, failed: 0, dropped: 3, queued: 4 });
  sent[0]?.done({ error: new Error("down") });
  await settled();
  expect(sent.map(({ items }) => items)).toEqual([[1, 2, 3], [4, 5, 6]]);
  expect(queue.numbers()).toEqual({ exported: 0, failed: 3, dropped: 3, queued: 1 });
  expect([counts.ok, counts.failed]).toEqual([0, 1]);
});

test("BatchQueue gives a batch up when the exporter never answers, and counts it once", async () => {
  const { queue, sent, fire, counts } = bench();
  for (const item of [1, 2, 3, 4]) queue.add(item);
  expect(fire(1000)).toBe(1);
  await settled();
  sent[0]?.done({});
  await settled();
  expect([counts.ok, counts.failed]).toEqual([0, 1]);
  expect(fire(10)).toBe(1);
  sent[1]?.done({});
  await settled();
  expect(queue.numbers()).toEqual({ exported: 1, failed: 3, dropped: 0, queued: 0 });
});

test("BatchQueue counts a batch as failed when the exporter throws", async () => {
  const counts = new ExportCounts();
  const queue = new BatchQueue<number>({
    send: () => {
      throw new Error("broken on purpose");
    },
    counts,
    maxQueue: 1,
    maxBatch: 1,
    delayMs: 10,
    timeoutMs: 10,
    schedule: () => () => {},
  });
  queue.add(1);
  await queue.flush();
  expect([queue.numbers().failed, counts.failed]).toEqual([1, 1]);
});

test("BatchQueue.flush resolves when everything added before it has arrived", async () => {
  const { queue, sent } = bench();
  for (const item of [1, 2, 3, 4]) queue.add(item);
  let flushed = false;
  const flush = (async () => {
    await queue.flush();
    flushed = true;
  })();
  sent[0]?.done({});
  await settled();
  await settled();
  expect([flushed, sent.length]).toEqual([false, 2]);
  sent[1]?.done({});
  await flush;
  expect(queue.numbers().exported).toBe(4);
});
