import { expect, test } from "bun:test";
import { VitrineError } from "../../../src/core/errors.ts";
import type { Message } from "../../../src/events/channel/messages.ts";
import { Questions } from "../../../src/events/channel/questions.ts";
import { FakeTime } from "./fake_time.ts";
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

test("CollectorHub.request rejects, and does not throw, when there is no such producer", async () => {
  const [outcome] = await Promise.allSettled([new Fixture().hub.request("9.9", { topic: "who" })]);
  expect(outcome?.status).toBe("rejected");
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

/**
 * Two ends whose messages arrive at once, unless `loses` says otherwise; `posted` keeps the kinds of all that were
 * posted.
 */
function ends(answer: () => string | Promise<string>, loses: (message: Message) => boolean = () => false) {
  const time = new FakeTime();
  const posted: string[] = [];
  const end = (other: () => Questions) =>
    new Questions({
      post: (message) => {
        posted.push(message.kind);
        if ((message.kind === "ask" || message.kind === "answer") && !loses(message)) other().receive(message);
      },
      answers: new Map([["page", answer]]),
      schedule: time.schedule,
      retryMs: 100,
    });
  const asker: Questions = end(() => answerer);
  const answerer: Questions = end(() => asker);
  const count = (kind: string) => posted.filter((each) => each === kind).length;
  return { time, asker, asks: () => count("ask"), answers: () => count("answer") };
}

test("Questions asks ever more seldom and answers once when the answer takes five seconds", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const { time, asker, asks, answers } = ends(() => promise);
  const asking = asker.ask({ topic: "page", deadlineMs: 10_000 });
  await time.advance(5000);
  expect([asks(), answers()]).toEqual([7, 0]);
  resolve("600 kB");
  expect(await asking).toBe("600 kB");
  await time.advance(20_000);
  expect([asks(), answers()]).toEqual([7, 1]);
});

test("Questions answers no more often than it is asked, by one call, when answers get lost", async () => {
  let calls = 0;
  let lost = 0;
  const { time, asker, asks, answers } = ends(() => `${++calls}`, ({ kind }) => kind === "answer" && ++lost <= 3);
  const asking = asker.ask({ topic: "page" });
  await time.advance(1000);
  expect(await asking).toBe("1");
  expect([asks(), answers()]).toEqual([4, 4]);
});

test("Questions keeps silent when nobody waits for the answer any more", async () => {
  const slow = Promise.withResolvers<string>();
  let calls = 0;
  const { time, asker, answers } = ends(() => (++calls === 1 ? slow.promise : "quick"));
  const first = failureOf(asker.ask({ topic: "page", deadlineMs: 50 }));
  await time.advance(60);
  expect(await first).toBeInstanceOf(VitrineError);
  expect(await asker.ask({ topic: "page" })).toBe("quick");
  slow.resolve("too late");
  await time.advance(5000);
  expect([calls, answers()]).toEqual([2, 1]);
});

test("Questions takes no repetition for a new question when others have overtaken it", async () => {
  let calls = 0;
  const posted: Message[] = [];
  const answerer = new Questions({
    post: (message) => posted.push(message),
    answers: new Map([["page", () => `${++calls}`]]),
    schedule: new FakeTime().schedule,
    retryMs: 100,
  });
  const ask = (id: number) => answerer.receive({ kind: "ask", id, oldest: id, topic: "page", body: "" });
  for (const id of [1, 2, 1]) ask(id);
  await new Promise<void>((resolve) => setImmediate(resolve));
  expect([calls, posted.length]).toEqual([2, 1]);
});
