import { expect, test } from "bun:test";
import { ChannelProducer } from "../../../src/events/channel/channel_producer.ts";
import { CollectorHub } from "../../../src/events/channel/collector_hub.ts";
import { CounterRow } from "../../../src/events/ledger/counter_row.ts";

test("CollectorHub misses no event of a producer that began before the subscribers came when it holds the interest", async () => {
  const channelName = crypto.randomUUID();
  const hub = new CollectorHub({ channelName, holdInterest: true, answers: { ping: () => "pong" } });
  const countersRow = CounterRow.allocate();
  hub.addProducer("1", countersRow);
  const producer = new ChannelProducer({ channelName, id: "1", countersRow });
  // The hub has heard the producer, and could have told it that nobody listens.
  expect(await producer.request("ping")).toBe("pong");
  producer.publish("sm.read.finished", { tenant: "", keys: 2, bytes: 3 });
  let keys = 0;
  hub.subscribe({ name: "sum", subscriptions: { "sm.read.finished": (event) => keys += event.keys } });
  hub.tellInterest();
  producer.publish("sm.read.finished", { tenant: "", keys: 5, bytes: 3 });
  expect(await producer.flush()).toBeUndefined();
  expect(await hub.flush()).toEqual([]);
  expect(keys).toBe(7);
  await producer.stop({ deadlineMs: 1000 });
  await hub.stop();
});
