/** The producing thread of bench/publish.ts: publishes as fast as it can, turning its event loop as a server does. */
import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../../src/core/clock.ts";
import { openProducer, type ProducerSeat } from "../../src/events/producer.ts";
import { publishRequest, requestEvents } from "./publish_request.ts";

/** Options of the thread. */
export interface PublishThreadData {
  readonly seat: ProducerSeat;
  readonly requests: number;
}

/** The measurements of the thread. */
export interface PublishThreadResult {
  /** In publish, per event. */
  readonly publishNs: number;
  /** From the first publish to the last. */
  readonly elapsedMs: number;
}

const REQUESTS_PER_TURN = 100;

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- bench/publish.ts wrote it
const { seat, requests } = workerData as PublishThreadData;
const producer = openProducer(seat, { clock: systemClock });
const startMs = performance.now();
let publishMs = 0;
for (let turn = 0; turn < requests; turn += REQUESTS_PER_TURN) {
  const turnMs = performance.now();
  for (let inTurn = 0; inTurn < REQUESTS_PER_TURN; inTurn++) publishRequest(producer.publish, turn + inTurn);
  publishMs += performance.now() - turnMs;
  await new Promise((resolve) => setImmediate(resolve));
}
const result: PublishThreadResult = {
  publishNs: publishMs / (requests * requestEvents.length) * 1e6,
  elapsedMs: performance.now() - startMs,
};
producer.stop();
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows
parentPort?.postMessage(result);
