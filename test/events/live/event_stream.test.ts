import { expect, test } from "bun:test";
import { openEventsOf } from "../../../src/events/live/event_stream.ts";
import { FakeBus, SMALL } from "./fake_bus.ts";
import { type WantedEvents } from "../../../src/events/live/live_listener.ts";

const HEARTBEAT_MS = 500;
const WANTED: WantedEvents = {
  format: "ndjson",
  types: ["l1.read.finished"],
  tenant: undefined,
  lastEventId: undefined,
};

async function open(wanted: Partial<WantedEvents> = {}, signal?: AbortSignal) {
  const bus = new FakeBus();
  const body = await openEventsOf(bus.feed, { schedule: bus.time.schedule, heartbeatMs: HEARTBEAT_MS })({
    ...WANTED,
    ...wanted,
  }, signal);
  const reader = body.getReader();
  const read = async () => {
    const { done, value } = await reader.read();
    return done ? undefined : new TextDecoder().decode(value);
  };
  return { bus, reader, read };
}

test("openEventsOf says something at once in either form", async () => {
  expect(await (await open()).read()).toBe("\n");
  expect(await (await open({ format: "sse" })).read()).toMatch(/^retry: \d+\n: .*\n\n$/);
});

test("openEventsOf writes a record as a line of JSON, or as an SSE event under its id", async () => {
  const json = '{"id":"n-1","name":"l1.read.finished","time":"1970-01-01T00:00:01.000Z","count":1,"folded":false,' +
    '"tenant":"","keys":1,"bytes":0}';
  for (
    const [format, text] of [["ndjson", `${json}\n`], [
      "sse",
      `id: n-1\nevent: l1.read.finished\ndata: ${json}\n\n`,
    ]] as const
  ) {
    const { bus, read } = await open({ format });
    await read();
    bus.publish("l1.read.finished");
    expect(await read()).toBe(text);
  }
});

test("openEventsOf keeps a record on one line when a value holds line breaks", async () => {
  const { bus, read } = await open({ format: "sse" });
  await read();
  bus.publish("l1.read.finished", { tenant: "a\n\rdata: b" });
  expect((await read())?.split(/[\r\n]/).length).toBe(5);
});

test("openEventsOf writes what was lost in its place when the reader is slow", async () => {
  const { bus, read } = await open({ format: "sse" });
  await read();
  for (let i = 0; i < SMALL.queue + 2; i++) bus.publish("l1.read.finished", { count: 3 });
  const [first, second] = (await read())?.split("\n\n") ?? [];
  expect(first).toBe('id: n-2\nevent: lost\ndata: {"id":"n-2","name":"lost","count":6}');
  expect(second).toMatch(/^id: n-3\nevent: l1.read.finished\n/);
});

test("openEventsOf keeps nothing beyond the queue when nobody reads", async () => {
  const { bus, read } = await open();
  for (let i = 0; i < 1000; i++) bus.publish("l1.read.finished");
  await read();
  expect((await read())?.split("\n").length).toBe(SMALL.queue + 2);
});

test("openEventsOf says something when nothing has happened for a while", async () => {
  for (const [format, heartbeat] of [["ndjson", "\n"], ["sse", ":\n\n"]] as const) {
    const { bus, read } = await open({ format });
    await read();
    for (let i = 0; i < 3; i++) {
      const next = read();
      await bus.time.advance(HEARTBEAT_MS);
      expect(await next).toBe(heartbeat);
    }
  }
});

test("openEventsOf ends the stream and its timer when the feed is closed", async () => {
  const { bus, read } = await open();
  await read();
  const next = read();
  bus.feed.close();
  expect(await next).toBeUndefined();
  expect(bus.time.pending).toBe(0);
});

test("openEventsOf lets the listener go at once when its stream is cancelled, read or not", async () => {
  for (const isRead of [false, true]) {
    const { bus, reader, read } = await open();
    if (isRead) await read();
    const pending = isRead ? read() : undefined;
    await reader.cancel();
    expect([await pending, bus.feed.listeners]).toEqual([undefined, 0]);
    await bus.time.advance(SMALL.lingerMs);
    expect([bus.types(), bus.time.pending]).toEqual([[], 0]);
  }
});

test("openEventsOf ends the stream when its signal says so", async () => {
  const abort = new AbortController();
  const { bus, read } = await open({}, abort.signal);
  await read();
  const next = read();
  abort.abort();
  expect([await next, bus.feed.listeners]).toEqual([undefined, 0]);
});
