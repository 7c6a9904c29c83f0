import { expect, test } from "bun:test";
import fc from "fast-check";
import { catalogue, eventNames } from "../../../src/events/catalogue.ts";
import { RingReader, RingWriter } from "../../../src/events/memory/ring.ts";
import { privateSegment, Segment } from "../../../src/events/memory/segment.ts";
const number = fc.oneof(fc.nat(), fc.double(), fc.constantFrom(0, -0, Infinity, Number.MAX_SAFE_INTEGER));
// Lone surrogates too: nothing a client sends may change on the way.
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.constantFrom("", "\ud800", "\ufeff", "\udc00x", "ÿ", "Ā", "x".repeat(9000)),
);

const published = fc.constantFrom(...eventNames).chain((name) => {
  const fields = Object.entries(catalogue[name].fields).map(([field, { kind }]) => [
    field,
    kind === "detail" ? fc.option(text, { nil: undefined }) : kind === "label" ? text : number,
  ]);
  return fc.record({ name: fc.constant(name), timeMs: number, fields: fc.record(Object.fromEntries(fields)) });
});

function ring(queueSize: number) {
  const segment = new Segment(privateSegment(queueSize));
  return { segment, writer: new RingWriter(segment, queueSize), reader: new RingReader(segment) };
}

test("RingReader takes what RingWriter wrote, whole and in order, when events of every type and both ends mix at random", () => {
  const step = fc.oneof({ weight: 3, arbitrary: published }, { weight: 1, arbitrary: fc.nat({ max: 8 }) });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const { writer, reader } = ring(20);
    const waiting: unknown[] = [];
    for (const step of [...steps, 100]) {
      if (typeof step !== "number") {
        const { name, timeMs, fields } = step;
        const hasRoom = writer.push(eventNames.indexOf(name), timeMs, fields);
        expect(hasRoom).toBe(hasRoom && waiting.length < 20);
        if (hasRoom) waiting.push({ ...fields, name, timeMs, count: 1, folded: false });
      } else {
        const { head } = reader;
        for (const expected of waiting.splice(0, step)) {
          const event: unknown = reader.take(head)?.event;
          expect(event).toEqual(expected);
        }
      }
    }
    expect(reader.take(reader.head)).toBe(undefined);
  }));
});

test("RingWriter refuses an event when as many wait as may, or when there is no room for its bytes", () => {
  const few = ring(2);
  const type = eventNames.indexOf("worker.started");
  const push = () => few.writer.push(type, 1, { slot: "0" });
  expect([push(), push(), push()]).toEqual([true, true, false]);
  few.reader.take(few.reader.head);
  expect([push(), push()]).toEqual([true, false]);

  const narrow = ring(1000);
  const big = { slot: "x".repeat(10_000) };
  const taken = () => narrow.reader.take(narrow.reader.head)?.event;
  for (let round = 0; round < 10; round++) {
    let pushed = 0;
    while (narrow.writer.push(type, round, big)) pushed++;
    expect(pushed).toBeGreaterThan(3);
    for (let event = 0; event < pushed; event++) expect(taken()).toMatchObject({ timeMs: round, slot: big.slot });
    expect(taken()).toBe(undefined);
  }
});

test("RingReader says that an event cannot be read when its record is damaged, and goes on with the next", () => {
  const { segment, writer, reader } = ring(10);
  const type = eventNames.indexOf("worker.started");
  for (const slot of ["0", "1"]) writer.push(type, 1, { slot });
  // The length of its first string, behind the header and the time.
  segment.words[segment.ringAt / 4 + 4] = 1e9;
  const { head } = reader;
  expect(reader.take(head)).toEqual({ type, event: undefined });
  expect(reader.take(head)?.event).toMatchObject({ slot: "1" });
});
