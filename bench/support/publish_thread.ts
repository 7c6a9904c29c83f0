/** The producing thread of bench/publish.ts: publishes as fast as it can, turning its event loop as a server does. */
import { parentPort, workerData } from "node:worker_threads";
import { ChannelProducer } from "../../src/events/channel/channel_producer.ts";
import { publishRequest, requestEvents } from "./publish_request.ts";

/** What the thread is given. */
export interface PublishThreadData {
  readonly channelName: string;
  readonly countersRow: SharedArrayBuffer;
  readonly requests: number;
  readonly queueSize: number;
}

/** What it has measured. */
export interface PublishThreadResult {
  /** In publish, per event. */
  readonly publishNs: number;
  /** From the first publish until everything was dispatched. */
  readonly elapsedMs: number;
}

const REQUESTS_PER_TURN = 100;

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- bench/publish.ts wrote it
const { channelName, countersRow, requests, queueSize } = workerData as PublishThreadData;
const producer = new ChannelProducer({ channelName, id: "1.1", countersRow, queueSize });
// The interest is heard by then.
await producer.request("ready");
const startMs = performance.now();
let publishMs = 0;
for (let turn = 0; turn < requests; turn += REQUESTS_PER_TURN) {
  const turnMs = performance.now();
  for (let inTurn = 0; inTurn < REQUESTS_PER_TURN; inTurn++) publishRequest(producer.publish, turn + inTurn);
  publishMs += performance.now() - turnMs;
  await new Promise((resolve) => setImmediate(resolve));
}
await producer.flush();
const result: PublishThreadResult = {
  publishNs: publishMs / (requests * requestEvents.length) * 1e6,
  elapsedMs: performance.now() - startMs,
};
await producer.stop();
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows
parentPort?.postMessage(result);
