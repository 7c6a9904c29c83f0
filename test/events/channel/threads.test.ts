import { expect, test } from "bun:test";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { CollectorHub } from "../../../src/events/channel/collector_hub.ts";
import { CounterRow } from "../../../src/events/ledger/counter_row.ts";
import { READ, recorder } from "./fixture.ts";
import type { ThreadData } from "./thread.ts";

/** A worker that publishes; it says "done" when it has, and then stays. */
async function start(hub: CollectorHub, data: Omit<ThreadData, "countersRow">): Promise<Worker> {
  const countersRow = CounterRow.allocate();
  hub.addProducer(data.id, countersRow);
  const worker = new Worker(new URL("./thread.ts", import.meta.url).pathname, {
    workerData: { ...data, countersRow },
  });
  await once(worker, "message");
  return worker;
}

async function stop(hub: CollectorHub, workers: ReadonlyMap<string, Worker>): Promise<void> {
  for (const [id, worker] of workers) {
    await worker.terminate();
    await hub.producerGone(id);
  }
  await hub.stop();
}

test("CollectorHub has every event of two worker threads after a flush when singles, groups and a tiny queue mix", async () => {
  const channelName = crypto.randomUUID();
  const hub = new CollectorHub({ channelName });
  const { seen, subscriber } = recorder(["l1.removed"]);
  hub.subscribe(subscriber);
  const events = 50_000;
  const workers = new Map<string, Worker>();
  for (const id of ["1.1", "2.1"]) {
    workers.set(id, await start(hub, { channelName, id, events, queueSize: 100 }));
  }
  expect(await hub.flush(10_000)).toEqual([]);
  const stats = hub.stats();
  for (const name of ["l1.read.finished", "l1.removed"] as const) {
    const delivered = seen.filter((event) => event.name === name);
    expect(delivered.reduce((sum, { count }) => sum + count, 0)).toBe(2 * events);
    expect(delivered.reduce((sum, event) => sum + ("bytes" in event ? event.bytes : 0), 0)).toBe(2 * events * 10);
    expect(stats.events.get(name)).toMatchObject({ published: 2 * events, lost: 0, pending: 0 });
  }
  expect(stats.depth).toBe(0);
  await stop(hub, workers);
});

test("CollectorHub states what a terminated worker took along", async () => {
  const channelName = crypto.randomUUID();
  const hub = new CollectorHub({ channelName });
  const { seen, subscriber } = recorder(["l1.removed"]);
  hub.subscribe(subscriber);
  const worker = await start(hub, { channelName, id: "1.1", events: 10_000, queueSize: 1000, forever: true });
  await worker.terminate();
  await hub.producerGone("1.1");
  for (const name of ["l1.read.finished", "l1.removed"] as const) {
    const counts = hub.stats().events.get(name);
    const got = seen.filter((event) => event.name === name).reduce((sum, { count }) => sum + count, 0);
    expect(counts?.published).toBeGreaterThanOrEqual(10_000);
    expect((counts?.delivered ?? 0) + (counts?.rolledUp ?? 0)).toBe(got);
    expect(counts).toMatchObject({ lost: (counts?.published ?? 0) - got, pending: 0 });
  }
  await hub.stop();
});

test("CollectorHubs of two servers in one process do not hear each other's workers", async () => {
  const hubs = [crypto.randomUUID(), crypto.randomUUID()].map((channelName) => ({
    channelName,
    hub: new CollectorHub({ channelName, answers: { whoami: () => channelName } }),
    ...recorder(),
  }));
  for (const { hub, subscriber } of hubs) hub.subscribe(subscriber);
  for (const [index, { hub, channelName, seen }] of hubs.entries()) {
    const worker = await start(hub, { channelName, id: "1.1", events: 100 * (index + 1), queueSize: 10 });
    expect(await hub.flush(10_000)).toEqual([]);
    expect(await hub.request("1.1", { topic: "relay" })).toBe(channelName);
    expect(seen.reduce((sum, { count }) => sum + count, 0)).toBe(200 * (index + 1));
    await stop(hub, new Map([["1.1", worker]]));
  }
  expect(hubs.map(({ seen }) => seen.reduce((sum, { count }) => sum + count, 0))).toEqual([200, 400]);
});

test("CollectorHub delivers an event of its own thread by itself when nobody flushes", async () => {
  const hub = new CollectorHub({ channelName: crypto.randomUUID() });
  const arrived = new Promise<number>((resolve) => {
    hub.subscribe({ name: "first", subscriptions: { "l1.read.finished": ({ keys }) => resolve(keys) } });
  });
  // The hub's timers hold no process.
  const hold = setTimeout(() => {}, 10_000);
  hub.publish("l1.read.finished", READ);
  expect(await arrived).toBe(1);
  clearTimeout(hold);
  await hub.stop();
});

test("CollectorHub hears workers when the hub before it has just stopped", async () => {
  for (let round = 1; round <= 3; round++) {
    const channelName = crypto.randomUUID();
    const hub = new CollectorHub({ channelName });
    const { seen, subscriber } = recorder();
    hub.subscribe(subscriber);
    for (const id of ["1.1", "1.2"]) {
      const worker = await start(hub, { channelName, id, events: 5, queueSize: 10 });
      expect(await hub.flush(10_000)).toEqual([]);
      await worker.terminate();
      await hub.producerGone(id);
    }
    expect(seen.reduce((sum, { count }) => sum + count, 0)).toBe(20);
    await hub.stop();
  }
});
