import { expect, test } from "bun:test";
import { VitrineError } from "../../../src/core/errors.ts";
import { Fixture } from "./fixture.ts";

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    return error;
  }
}

test("ChannelProducer.request is answered by one call of the hub's answer when questions and answers get lost", async () => {
  let calls = 0;
  const fixture = new Fixture({ answers: { metrics: (body) => `${++calls} ${body}` } });
  const producer = fixture.producer("1.1");
  await fixture.calm();
  const answer = producer.request("metrics", { body: "now" });
  await fixture.net.deliver(["drop" as const][Symbol.iterator]());
  await fixture.time.advance(100);
  await fixture.net.deliver(["twice" as const][Symbol.iterator]());
  await fixture.net.deliver(["drop" as const, "drop" as const][Symbol.iterator]());
  expect(await fixture.during(answer)).toBe("1 now");
  expect(await fixture.during(producer.request("metrics"))).toBe("2 ");
});

test("CollectorHub.request is answered by the producer that was asked", async () => {
  const fixture = new Fixture();
  for (const id of ["1.1", "2.1"]) fixture.producer(id, { answers: { who: () => Promise.resolve(id) } });
  expect(await fixture.during(fixture.hub.request("2.1", { topic: "who" }))).toBe("2.1");
});

test("CollectorHub.request fails when nobody answers, the answer throws, or the producer is gone", async () => {
  const fixture = new Fixture();
  fixture.producer("1.1", {
    answers: {
      broken: () => {
        throw new Error("broken on purpose");
      },
      never: () => new Promise(() => {}),
    },
  });
  const ask = (topic: string) => failureOf(fixture.during(fixture.hub.request("1.1", { topic, deadlineMs: 300 })));
  const failures = [await ask("broken"), await ask("unheard"), await ask("never")];
  const asking = failureOf(fixture.hub.request("1.1", { topic: "never" }));
  await fixture.during(fixture.hub.producerGone("1.1"));
  failures.push(await asking);
  expect(failures.every((failure) => failure instanceof VitrineError)).toBe(true);
  expect(failures.map((failure) => failure instanceof Error ? failure.message : failure)).toEqual([
    "ask across threads: broken on purpose",
    "ask across threads: ask across threads: nobody answers: unheard",
    "ask across threads: no answer within 300 ms: never",
    "ask across threads: the other end is gone",
  ]);
});
