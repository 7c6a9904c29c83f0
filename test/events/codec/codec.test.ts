import { expect, test } from "bun:test";
import fc from "fast-check";
import { arrivalOf } from "../../../src/events/arrival.ts";
import { catalogue } from "../../../src/events/catalogue.ts";
import { PackedBatch } from "../../../src/events/codec/decode.ts";
import { BatchEncoder } from "../../../src/events/codec/encode.ts";
import { deliver } from "../../../src/events/delivered.ts";
import { eventNames } from "../../../src/events/schema.ts";

const number = fc.oneof(fc.nat(), fc.double(), fc.constantFrom(0, -0, Infinity, Number.MAX_SAFE_INTEGER));
// Lone surrogates too: nothing a client sends may change on the way.
const text = fc.oneof(fc.string({ unit: "binary", maxLength: 20 }), fc.constantFrom("", "\ud800", "\ufeff", "\udc00x"));
const count = fc.integer({ min: 1, max: 1e9 });

function fieldsOf(name: (typeof eventNames)[number], details: boolean) {
  const values = Object.entries(catalogue[name].fields).filter(([, { kind }]) => details || kind !== "detail").map((
    [field, { kind }],
  ) => [
    field,
    kind === "detail" ? fc.option(text, { nil: undefined }) : kind === "label" ? text : number,
  ]);
  return fc.record(Object.fromEntries(values));
}

const single = fc.constantFrom(...eventNames).chain((name) =>
  fc.record({ name: fc.constant(name), timeMs: number, fields: fieldsOf(name, true) })
);
const group = fc.constantFrom(...eventNames).chain((name) =>
  fc.tuple(number, count, fieldsOf(name, false)).map(([timeMs, count, fields]) =>
    deliver({ name, timeMs, count, folded: true }, fields)
  )
);
const batch = fc.record({
  singles: fc.array(single),
  groups: fc.array(group),
  counts: fc.array(fc.tuple(fc.constantFrom(...eventNames), fc.record({ published: count, shed: count }))).map((
    entries,
  ) => new Map(entries)),
  sinceMs: fc.constant(0),
});

test("PackedBatch unpacks what BatchEncoder packed when events of every type are arbitrary", () => {
  const encoder = new BatchEncoder();
  fc.assert(fc.property(batch, fc.nat(), (batch, sequence) => {
    const packed = new PackedBatch(encoder.encode(batch, sequence));
    expect(packed.sequence).toBe(sequence);
    expect(packed.unpack()).toEqual(arrivalOf(batch));
  }));
});

test("PackedBatch unpacks every event type when a batch has one of each", () => {
  const singles = eventNames.map((name, type) => ({ name, timeMs: type, fields: {} }));
  const unpacked = new PackedBatch(
    new BatchEncoder().encode({ singles, groups: [], counts: new Map(), sinceMs: 0 }, 1),
  ).unpack();
  expect(unpacked.singles.map(({ name, timeMs }) => [name, timeMs])).toEqual(
    eventNames.map((name, type) => [name, type]),
  );
});
