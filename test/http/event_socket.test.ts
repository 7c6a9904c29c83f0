import { afterAll, expect, test } from "bun:test";
import { setImmediate } from "node:timers/promises";
import { createAdminApp } from "../../routes/admin_app.ts";
import { Access } from "../../src/access/access.ts";
import { FailureTable } from "../../src/access/failure_table.ts";
import { systemClock, unrefTimer } from "../../src/core/clock.ts";
import { openEventsOf } from "../../src/events/live/event_stream.ts";
import { LIVE_LIMITS } from "../../src/events/live/live_feed.ts";
import { currentRuntime } from "../../src/runtime/mod.ts";
import { FakeBus } from "../events/live/fake_bus.ts";
import { RawSocket } from "./raw_socket.ts";

const REQUEST = "GET /v1/events?type=l1.read.finished HTTP/1.1\r\nHost: vitrine\r\n\r\n";

const bus = new FakeBus(LIVE_LIMITS);
const errors: unknown[] = [];
const app = createAdminApp({
  publish() {},
  clock: systemClock,
  version: {},
  config: () => ({}),
  status: () => Promise.resolve({}),
  metricsText: () => Promise.resolve(""),
  events: openEventsOf(bus.feed, { schedule: unrefTimer, heartbeatMs: 15_000 }),
  allowedHosts: ["vitrine", "v"],
  access: new Access(undefined, new FailureTable(FailureTable.allocate(1), systemClock)),
  metricsAreOpen: false,
  isExposed: false,
  corsOrigins: [],
  isAlive: () => true,
  unready: () => undefined,
  reportError: (error) => errors.push(error),
});
const server = currentRuntime().serve({
  host: "127.0.0.1",
  port: 0,
  reusePort: false,
  idleTimeoutSeconds: 60,
  fetch: app.fetch,
  onError: (error) => errors.push(error),
});

afterAll(() => server.stop());

/** The next chunk of a chunked body. */
async function chunk(socket: RawSocket): Promise<string> {
  const bytes = parseInt(await socket.line(), 16);
  const text = new TextDecoder().decode(await socket.take(bytes));
  await socket.line();
  return text;
}

async function open(): Promise<RawSocket> {
  const socket = new RawSocket(server.address.port).write(REQUEST);
  const { status } = await socket.head();
  expect([status, await chunk(socket)]).toEqual([200, "\n"]);
  return socket;
}

test(
  "GET /v1/events tells a client that did not read for a while exactly how many events it lost, and keeps no more for it than its queue",
  async () => {
    const socket = await open();
    let published = 0;
    // Far more than the buffers of a loopback connection hold.
    while (published < 200_000) {
      for (let i = 0; i < 500; i++) bus.publish("l1.read.finished");
      published += 500;
      await setImmediate();
    }
    let received = 0;
    let lost = 0;
    let rest = "";
    while (received + lost < published) {
      const lines = (rest + await chunk(socket)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines.filter((each) => each !== "")) {
        const { name, count } = JSON.parse(line);
        if (name === "lost") lost += count;
        else received += count;
      }
    }
    socket.destroy();
    expect([received + lost, lost > 0]).toEqual([published, true]);
  },
);

test("GET /v1/events lets its listener go when a client goes away that never read", async () => {
  const before = bus.feed.listeners;
  const socket = new RawSocket(server.address.port).write(REQUEST);
  while (bus.feed.listeners === before) await setImmediate();
  for (let i = 0; i < 20_000; i++) bus.publish("l1.read.finished");
  socket.destroy();
  while (app.activeRequests() > 0) await setImmediate();
  expect([bus.feed.listeners, errors]).toEqual([0, []]);
});
