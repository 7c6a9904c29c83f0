import { expect, test } from "bun:test";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { EventBus } from "../../src/events/bus.ts";
import { allocateSegment } from "../../src/events/memory/segment.ts";
import { READ, recorder, sumOf } from "./fixture.ts";
import type { ThreadData } from "./thread.ts";

interface Options extends Pick<ThreadData, "events" | "forever"> {
  readonly id: string;
  readonly queueSize: number;
}

/** A bus under a name of its own, and what starts a worker that publishes to it, and says "done" when it has. */
function threadedBus() {
  const name = crypto.randomUUID();
  const bus = new EventBus({ name });
  return {
    bus,
    start: async ({ id, queueSize, ...data }: Options): Promise<Worker> => {
      const memory = allocateSegment(queueSize);
      bus.addProducer(id, memory);
      const workerData: ThreadData = { ...data, seat: { bus: name, id, memory, queueSize } };
      const worker = new Worker(new URL("./thread.ts", import.meta.url).pathname, { workerData });
      await once(worker, "message");
      return worker;
    },
  };
}

test("EventBus has every event of two worker threads after a flush, whole, when individual events, groups and a small ring mix", async () => {
  const { bus, start } = threadedBus();
  const { seen, subscriber } = recorder(["l1.removed"]);
  bus.subscribe(subscriber);
  const events = 50_000;
  const workers = await Promise.all(["1.1", "2.1"].map((id) => start({ id, events, queueSize: 100 })));
  await bus.flush();
  const stats = bus.stats();
  for (const name of ["l1.read.finished", "l1.removed"] as const) {
    const delivered = seen.filter((event) => event.name === name);
    expect(sumOf(delivered)).toBe(2 * events);
    // A group that was read while it was written would not add up.
    for (const event of delivered) if ("bytes" in event) expect(event.bytes).toBe(10 * event.count);
    expect(stats.events.get(name)).toMatchObject({ published: 2 * events, lost: 0, pending: 0 });
  }
  expect(stats.depth).toBe(0);
  const keys = seen.flatMap((event) => "key" in event && event.key !== undefined ? [Number(event.key.slice(4))] : []);
  expect(keys.length).toBe(stats.events.get("l1.removed")?.delivered ?? 0);
  await Promise.all(workers.map((worker) => worker.terminate()));
  await bus.stop();
});

test("EventBus loses nothing that a worker published before it was terminated in the middle of it", async () => {
  const { bus, start } = threadedBus();
  const { seen, subscriber } = recorder(["l1.removed"]);
  bus.subscribe(subscriber);
  for (const id of ["1.1", "1.2", "1.3"]) {
    const worker = await start({ id, events: 2000, queueSize: 1000, forever: true });
    await worker.terminate();
    await bus.producerGone(id);
  }
  for (const name of ["l1.read.finished", "l1.removed"] as const) {
    const delivered = seen.filter((event) => event.name === name);
    expect(sumOf(delivered)).toBeGreaterThanOrEqual(6000);
    for (const event of delivered) if ("bytes" in event) expect(event.bytes).toBe(10 * event.count);
    expect(bus.stats().events.get(name)).toMatchObject({ published: sumOf(delivered), lost: 0 });
  }
  await bus.stop();
});

test("EventBus dispatches by itself what its own thread and a worker publish when nobody flushes", async () => {
  const { bus, start } = threadedBus();
  const arrived = new Promise<void>((resolve) => {
    let keys = 0;
    bus.subscribe({
      name: "first",
      subscriptions: { "l1.read.finished": (event) => void ((keys += event.keys) === 6 && resolve()) },
    });
  });
  // The bus's timers hold no process.
  const hold = setTimeout(() => {}, 10_000);
  bus.publish("l1.read.finished", READ);
  const worker = await start({ id: "1.1", events: 5, queueSize: 10 });
  await arrived;
  clearTimeout(hold);
  await worker.terminate();
  await bus.stop();
});

test("EventBuses of two servers in one process do not hear each other's workers", async () => {
  const buses = [threadedBus(), threadedBus()].map((each) => ({ ...each, ...recorder() }));
  for (const [index, { bus, start, subscriber, seen }] of buses.entries()) {
    bus.subscribe(subscriber);
    const worker = await start({ id: "1.1", events: 100 * (index + 1), queueSize: 10 });
    await bus.flush();
    expect(sumOf(seen)).toBe(200 * (index + 1));
    await worker.terminate();
    await bus.stop();
  }
  expect(buses.map(({ seen }) => sumOf(seen))).toEqual([200, 400]);
});
