/**
 * What one publish costs, in nanoseconds, and how many events a second reach subscribers: nobody listening, aggregated
 * (metrics only), detail; on one thread, and from a worker thread through shared memory. `bun bench/publish.ts`, `deno
 * run -A bench/publish.ts`.
 */
import { once } from "node:events";
import process from "node:process";
import { Worker } from "node:worker_threads";
import type { Publish } from "../src/core/events.ts";
import { EventBus } from "../src/events/bus.ts";
import type { EventMap } from "../src/events/catalogue.ts";
import { allocateSegment } from "../src/events/memory/segment.ts";
import { noPublish } from "../src/events/producer.ts";
import type { Subscriber } from "../src/events/subscriber.ts";
import { publishRequest, requestEvents } from "./support/publish_request.ts";
import type { PublishThreadData, PublishThreadResult } from "./support/publish_thread.ts";

const REQUESTS = 200_000;
const REQUESTS_PER_DRAIN = 2_000;
const EVENTS = REQUESTS * requestEvents.length;
const ROUNDS = 5;

type How = "aggregated" | "individual";

function subscriber(how: How, count: (events: number) => void): Subscriber {
  return {
    name: "bench",
    subscriptions: Object.fromEntries(
      requestEvents.map((name) => [name, (event: { count: number }) => count(event.count)]),
    ),
    individual: how === "individual" ? requestEvents : [],
  };
}

async function measure(publish: Publish<EventMap>, flush: () => Promise<void>): Promise<number> {
  let elapsedMs = 0;
  for (let turn = 0; turn < REQUESTS; turn += REQUESTS_PER_DRAIN) {
    const startMs = performance.now();
    for (let inDrain = 0; inDrain < REQUESTS_PER_DRAIN; inDrain++) publishRequest(publish, turn + inDrain);
    elapsedMs += performance.now() - startMs;
    await flush();
  }
  return elapsedMs / EVENTS * 1e6;
}

function listening(how: How): EventBus {
  const bus = new EventBus({ queueSize: REQUESTS_PER_DRAIN * requestEvents.length });
  bus.subscribe(subscriber(how, () => {}));
  return bus;
}

/** One run from a fresh worker thread to a subscriber here. */
async function acrossThreads(how: How, queueSize: number) {
  const name = crypto.randomUUID();
  const bus = new EventBus({ name });
  let handled = 0;
  bus.subscribe(subscriber(how, (events) => {
    handled += events;
  }));
  const memory = allocateSegment(queueSize);
  bus.addProducer("1.1", memory);
  const data: PublishThreadData = {
    seat: { bus: name, id: "1.1", memory, queueSize },
    requests: REQUESTS * 5,
  };
  const worker = new Worker(new URL("./support/publish_thread.ts", import.meta.url).pathname, { workerData: data });
  let lastMs = performance.now();
  let longestMs = 0;
  const probe = setInterval(() => {
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - lastMs);
    lastMs = nowMs;
  }, 1);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- support/publish_thread.ts wrote it
  const [result]: [PublishThreadResult] = await once(worker, "message") as [PublishThreadResult];
  const endMs = performance.now();
  await bus.flush();
  const elapsedMs = result.elapsedMs + performance.now() - endMs;
  clearInterval(probe);
  await worker.terminate();
  await bus.stop();
  const counts = [...bus.stats().events.values()];
  const delivered = counts.reduce((sum, { delivered }) => sum + delivered, 0);
  if (handled !== EVENTS * 5) throw new Error(`events went missing: ${EVENTS * 5 - handled}`);
  return { ...result, elapsedMs, single: delivered / handled, longestMs };
}

const unheard = new EventBus();
const aggregated = listening("aggregated");
const individual = listening("individual");
const cases = [
  ["noPublish", noPublish, () => Promise.resolve()],
  ["none", unheard.publish, () => unheard.flush()],
  ["aggregated", aggregated.publish, () => aggregated.flush()],
  ["individual", individual.publish, () => individual.flush()],
] as const;
for (const [name, publish, flush] of cases) {
  const rounds = [];
  for (let round = 0; round < ROUNDS; round++) rounds.push(await measure(publish, flush));
  process.stdout.write(
    `one thread   ${name.padEnd(10)} ${Math.min(...rounds).toFixed(0)} ns a publish (best of ${ROUNDS})\n`,
  );
}
for (
  const [name, how, queueSize] of [["aggregated", "aggregated", 8192], ["individual", "individual", 8192], [
    "individual, large queue",
    "individual",
    1e6,
  ]] as const
) {
  for (let round = 0; round < 3; round++) {
    const { publishNs, elapsedMs, single, longestMs } = await acrossThreads(how, queueSize);
    process.stdout.write(
      `two threads  ${name.padEnd(23)} ${publishNs.toFixed(0)} ns a publish, ${
        (EVENTS * 5 / elapsedMs / 1000).toFixed(2)
      } M events/s end to end, ` +
        `${(single * 100).toFixed(0)} % singles, main held for at most ${longestMs.toFixed(0)} ms\n`,
    );
  }
}
