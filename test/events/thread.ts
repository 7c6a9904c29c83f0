/** The worker of threads.test.ts. */
import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../../src/core/clock.ts";
import { openProducer, type ProducerSeat } from "../../src/events/producer.ts";

/** What the worker is given. */
export interface ThreadData {
  readonly seat: ProducerSeat;
  /** How many of each type it publishes before it says "done". */
  readonly events: number;
  /** It goes on publishing after that. */
  readonly forever?: boolean;
}

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- threads.test.ts wrote it
const { seat, events, forever = false } = workerData as ThreadData;
const { publish } = openProducer(seat, { clock: systemClock });
const one = { tenant: "", keys: 1, bytes: 10 } as const;
for (let event = 0; event < events; event++) {
  publish("l1.read.finished", one);
  publish("l1.removed", { ...one, reason: "quota", key: `key-${event}` });
  // A server's loop turns all the time; so does this one.
  if (event % 1000 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
}
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows
parentPort?.postMessage("done");
if (forever) {
  setInterval(() => {
    for (let event = 0; event < 1000; event++) publish("l1.read.finished", one);
  }, 1);
} else {
  setInterval(() => {}, 1e6);
}
