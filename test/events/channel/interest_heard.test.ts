import { expect, test } from "bun:test";
import { Fixture, recorder } from "./fixture.ts";

test("CollectorHub.interestHeard resolves only when every producer knows what is subscribed", async () => {
  const fixture = new Fixture();
  const producers = ["1.1", "2.1"].map((id) => fixture.producer(id));
  await fixture.calm();
  const { seen, subscriber } = recorder(["l1.removed"]);
  fixture.hub.subscribe(subscriber);
  let isHeard = false;
  const heard = fixture.hub.interestHeard().then(() => isHeard = true);
  await fixture.net.deliver(["drop" as const, "drop" as const][Symbol.iterator]());
  expect(isHeard).toBe(false);
  await fixture.during(heard);
  for (const { publish } of producers) {
    publish("l1.removed", { tenant: "", reason: "deleted", keys: 1, bytes: 1, key: "a" });
  }
  await fixture.calm();
  expect(seen.map(({ folded }) => folded)).toEqual([false, false]);
});

test("CollectorHub.interestHeard waits no longer than its deadline when a producer never answers", async () => {
  const fixture = new Fixture();
  fixture.producer("1.1");
  fixture.hub.subscribe(recorder().subscriber);
  const heard = fixture.hub.interestHeard(300);
  await fixture.time.advance(300);
  await heard;
  expect(fixture.time.nowMs).toBe(1300);
});
