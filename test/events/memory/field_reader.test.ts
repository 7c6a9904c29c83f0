import { expect, test } from "bun:test";
import fc from "fast-check";
import { eventNames, schemaOf } from "../../../src/events/catalogue.ts";
import { anyReader, fieldReader, HIT_READERS } from "../../../src/events/memory/field_reader.ts";

const named = eventNames.filter((name) => HIT_READERS[name] !== undefined);
const value = fc.oneof(fc.constantFrom("", "a", "b"), fc.constant(undefined), fc.double({ noNaN: true }), fc.nat());

for (const name of named) {
  test(`fieldReader reads the fields that the schema names: ${name}`, () => {
    const schema = schemaOf(name);
    const { labels, sums, histogram } = schema;
    const names = [...labels, ...sums, ...(histogram === undefined ? [] : [histogram]), "requestId", "key"];
    const fields = fc.record(Object.fromEntries(names.map((field) => [field, value])));
    const counters = fc.array(fc.double({ noNaN: true }), { minLength: 20, maxLength: 20 });
    const [reader, other] = [fieldReader(schema), anyReader(schema)];
    fc.assert(
      fc.property(fields, fields, counters, fc.nat({ max: 9 }), fc.boolean(), (event, last, before, from, isSame) => {
        const values = labels.map((label) => String((isSame ? event : last)[label]));
        expect(reader.hasLabels(event, values)).toBe(other.hasLabels(event, values));
        const [one, two] = [Float64Array.from(before), Float64Array.from(before)];
        reader.add(event, one, from, 10);
        other.add(event, two, from, 10);
        expect(one).toEqual(two);
      }),
    );
  });

  test(`fieldReader tells each label that differs: ${name}`, () => {
    const schema = schemaOf(name);
    const values = schema.labels.map((label) => `value of ${label}`);
    const fields = Object.fromEntries(schema.labels.map((label, index) => [label, values[index]]));
    const { hasLabels } = fieldReader(schema);
    expect(hasLabels(fields, values)).toBe(true);
    for (const label of schema.labels) expect(hasLabels({ ...fields, [label]: "other" }, values)).toBe(false);
  });
}
