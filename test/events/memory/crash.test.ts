import { expect, test } from "bun:test";
import fc from "fast-check";
import type { EventMap } from "../../../src/events/catalogue.ts";
import { privateSegment, Segment } from "../../../src/events/memory/segment.ts";
import { EventProducer } from "../../../src/events/producer.ts";
import { SegmentReader } from "../../../src/events/memory/segment_reader.ts";
import type { SubscriptionLevel } from "../../../src/events/subscriber.ts";
import { WriteRecorder } from "./write_recorder.ts";

/** What a collector that comes after the death finds: the individual events, and the groups by their labels. */
function found(memory: ArrayBuffer): string {
  const reader = new SegmentReader(new Segment(memory.slice(0)));
  const individuals = Array.from(reader.individuals(), ({ event }) => JSON.stringify(event));
  return JSON.stringify([individuals, Array.from(reader.groups(0), (group) => JSON.stringify(group))]);
}

/** How many events it finds. */
function countIn(memory: ArrayBuffer): number {
  let count = 0;
  for (const { event } of new SegmentReader(new Segment(memory.slice(0))).groups(0)) count += event.count;
  return count;
}

/** A producer whose thread can die after each of its writes. */
class Doomed {
  readonly memory: ArrayBuffer;
  readonly recorder: WriteRecorder;
  readonly reader: SegmentReader;
  readonly producer: EventProducer;

  constructor(queueSize: number) {
    this.memory = privateSegment(queueSize);
    const segment = new Segment(this.memory);
    this.recorder = new WriteRecorder(this.memory, segment);
    this.reader = new SegmentReader(segment);
    const clock = { nowMs: () => 1, monotonicMs: () => 1 };
    this.producer = new EventProducer({
      ...{ segment: this.recorder.segment, queueSize, clock, notifyAfterMs: 1 },
      schedule: () => () => {},
      notify() {},
    });
  }

  want(level: SubscriptionLevel): void {
    this.reader.subscribe(new Map([["l1.removed", level], ["l2.load.completed", level]]));
  }

  /** Runs what publishes one event, and checks that at each death in it that event is published or is not. */
  dieIn(publish: () => void): void {
    this.recorder.restart();
    publish();
    const [before = "", ...after] = Array.from(this.recorder.cuts(), found);
    const last = after.at(-1) ?? before;
    expect(last).not.toBe(before);
    const published = after.indexOf(last);
    for (const [write, state] of after.entries()) {
      if (state !== (write < published ? before : last)) throw new Error(`torn after write ${write + 1}: ${state}`);
    }
  }
}

const removed = fc.record({
  tenant: fc.constantFrom("", "a", "ä"),
  reason: fc.constantFrom<EventMap["l1.removed"]["reason"]>("quota", "expired"),
  keys: fc.nat({ max: 9 }),
  bytes: fc.nat({ max: 1e9 }),
  key: fc.option(fc.constantFrom("k", "\ud800"), { nil: undefined }),
});
const loaded = fc.record({
  tier: fc.constant("fs"),
  tenant: fc.constantFrom("", "b"),
  outcome: fc.constantFrom<EventMap["l2.load.completed"]["outcome"]>("ok", "failed"),
  keys: fc.constant(1),
  bytes: fc.nat(),
  requestedBytes: fc.nat(),
  seconds: fc.double({ min: 0, max: 12, noNaN: true }),
  error: fc.option(fc.constant("no"), { nil: undefined }),
});
const step = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.constant("removed" as const), removed) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("loaded" as const), loaded) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom("aggregated" as const, "traced" as const, "individual" as const)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("take" as const)) },
);

test("EventProducer has published an event wholly or not at all after any of its writes", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 12 }), fc.integer({ min: 0, max: 3 }), (steps, queueSize) => {
      const doomed = new Doomed(queueSize);
      try {
        doomed.want("aggregated");
        for (const step of steps) {
          const [what] = step;
          if (what === "removed") doomed.dieIn(() => doomed.producer.publish("l1.removed", step[1]));
          else if (what === "loaded") doomed.dieIn(() => doomed.producer.publish("l2.load.completed", step[1]));
          else if (what === "take") {
            for (const _ of doomed.reader.individuals());
            for (const _ of doomed.reader.groups(0));
          } else doomed.want(what);
        }
      } finally {
        doomed.recorder.end();
      }
    }),
    { numRuns: 8 },
  );
});

test("EventProducer has published an event wholly or not at all after any of the writes that begin another book", () => {
  const doomed = new Doomed(0);
  try {
    doomed.want("aggregated");
    let opened = 0;
    for (let tenant = 0; opened === 0; tenant++) {
      const publish = () =>
        doomed.producer.publish("l1.removed", {
          tenant: `${tenant}`.padEnd(100_000, "x"),
          reason: "quota",
          keys: 1,
          bytes: 1,
        });
      doomed.recorder.restart();
      publish();
      opened = new Int32Array(doomed.memory)[0] ?? 0;
    }
    const counts = Array.from(doomed.recorder.cuts(), countIn);
    const all = countIn(doomed.memory);
    const published = counts.indexOf(all);
    expect(counts).toEqual(counts.map((_, write) => write < published ? all - 1 : all));
    expect([doomed.recorder.writes > 100, published > 100]).toEqual([true, true]);
  } finally {
    doomed.recorder.end();
  }
});
