/** What one publish costs, in nanoseconds: nobody listening, folded (metrics only), detail. `bun bench/publish.ts`, `deno run -A bench/publish.ts`. */
import process from "node:process";
import { EventBus } from "../src/events/bus.ts";
import type { EventName } from "../src/events/catalogue.ts";
import { noPublish } from "../src/events/no_publish.ts";
import type { Publish } from "../src/core/publish.ts";
import type { EventMap } from "../src/events/catalogue.ts";

const REQUESTS = 200_000;
const EVENTS_PER_REQUEST = 6;
const REQUESTS_PER_DRAIN = 2_000;

const names: readonly EventName[] = [
  "http.request.start",
  "sm.read.prefetched",
  "lookup.finished",
  "l1.read.finished",
  "sm.read.finished",
  "http.request.end",
];

/** The events of one GET or PUT, with labels that change from request to request as in mixed traffic. */
function request(publish: Publish<EventMap>, turn: number): void {
  const method = (turn & 3) === 0 ? "PUT" : "GET";
  const one = { tenant: "", keys: 1, bytes: 4096 } as const;
  publish("http.request.start", { route: "/v1/objects/{key}", method });
  publish("sm.read.prefetched", { tenant: "", succeeded: 1, failed: 0 });
  publish("lookup.finished", { ...one, tier: turn % 10 === 0 ? "fs" : "l1", result: "hit" });
  publish("l1.read.finished", one);
  publish("sm.read.finished", one);
  publish("http.request.end", {
    route: "/v1/objects/{key}",
    method,
    status: method === "GET" ? "200" : "201",
    outcome: "complete",
    seconds: (turn % 7) * 0.00004,
    requestBytes: 0,
    responseBytes: 4096,
  });
}

async function measure(publish: Publish<EventMap>, flush: () => Promise<void>): Promise<number> {
  let elapsedMs = 0;
  for (let turn = 0; turn < REQUESTS; turn += REQUESTS_PER_DRAIN) {
    const startMs = performance.now();
    for (let inDrain = 0; inDrain < REQUESTS_PER_DRAIN; inDrain++) request(publish, turn + inDrain);
    elapsedMs += performance.now() - startMs;
    await flush();
  }
  return elapsedMs / (REQUESTS * EVENTS_PER_REQUEST) * 1e6;
}

function listening(detail: readonly EventName[]): EventBus {
  const bus = new EventBus({ queueSize: REQUESTS_PER_DRAIN * EVENTS_PER_REQUEST });
  bus.subscribe({ name: "bench", subscriptions: Object.fromEntries(names.map((name) => [name, () => {}])), detail });
  return bus;
}

const unheard = new EventBus();
const folded = listening([]);
const detailed = listening(names);
const cases = [
  ["noPublish", noPublish, () => Promise.resolve()],
  ["none", unheard.publish, () => unheard.flush()],
  ["folded", folded.publish, () => folded.flush()],
  ["detail", detailed.publish, () => detailed.flush()],
] as const;
for (const [name, publish, flush] of cases) {
  const rounds = [];
  for (let round = 0; round < 5; round++) rounds.push(await measure(publish, flush));
  process.stdout.write(`${name.padEnd(10)} ${Math.min(...rounds).toFixed(0)} ns a publish (best of 5)\n`);
}
