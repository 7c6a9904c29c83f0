import type { EventName, EventSchema, FieldValues } from "../catalogue.ts";

/** Reads the fields of the events of one type. */
export interface FieldReader {
  /** True if the labels have these values, in the order of the schema. */
  readonly hasLabels: (fields: FieldValues, values: readonly string[]) => boolean;
  /** Adds the histogram field, if there is one, and the sums to the counters at `from`. The results go to `to`. */
  readonly add: (fields: FieldValues, counters: Float64Array, from: number, to: number) => void;
}

/** The reader for the events of one type. */
export function fieldReader(schema: EventSchema): FieldReader {
  return HIT_READERS[schema.name] ?? anyReader(schema);
}

/** Reads the fields that the schema names. */
export function anyReader({ labels, sums, histogram }: EventSchema): FieldReader {
  const numbers = histogram === undefined ? sums : [histogram, ...sums];
  return {
    hasLabels(fields, values) {
      let index = 0;
      for (const label of labels) if (fields[label] !== values[index++]) return false;
      return true;
    },
    add(fields, counters, from, to) {
      let index = 0;
      for (const name of numbers) {
        counters[to + index] = (counters[from + index] ?? 0) + numberOf(fields[name]);
        index++;
      }
    },
  };
}

/** The value of a field that should be a number, else 0. */
export function numberOf(value: string | number | undefined): number {
  return typeof value === "number" ? value : 0;
}

const hasTenant: FieldReader["hasLabels"] = (fields, values) => fields["tenant"] === values[0];

const addKeysAndBytes: FieldReader["add"] = (fields, counters, from, to) => {
  counters[to] = (counters[from] ?? 0) + numberOf(fields["keys"]);
  counters[to + 1] = (counters[from + 1] ?? 0) + numberOf(fields["bytes"]);
};

/**
 * The events of a hit, whose fields are named here once more: a name in the source is read several times as fast as
 * one in a variable.
 */
export const HIT_READERS: { readonly [Name in EventName]?: FieldReader } = {
  "http.request.start": {
    hasLabels: (fields, values) => fields["route"] === values[0] && fields["method"] === values[1],
    add() {},
  },
  "l1.read.reserved": { hasLabels: hasTenant, add: addKeysAndBytes },
  "l1.read.finished": { hasLabels: hasTenant, add: addKeysAndBytes },
  "sm.read.prefetched": {
    hasLabels: hasTenant,
    add(fields, counters, from, to) {
      counters[to] = (counters[from] ?? 0) + numberOf(fields["succeeded"]);
      counters[to + 1] = (counters[from + 1] ?? 0) + numberOf(fields["failed"]);
    },
  },
  "lookup.finished": {
    hasLabels: (fields, values) =>
      fields["tenant"] === values[0] && fields["tier"] === values[1] && fields["result"] === values[2] &&
      fields["reason"] === values[3],
    add: addKeysAndBytes,
  },
  "sm.read.finished": { hasLabels: hasTenant, add: addKeysAndBytes },
  "http.body": {
    hasLabels: (fields, values) =>
      fields["direction"] === values[0] && fields["route"] === values[1] && fields["method"] === values[2] &&
      fields["status"] === values[3],
    add(fields, counters, from, to) {
      counters[to] = (counters[from] ?? 0) + numberOf(fields["bytes"]);
    },
  },
  "http.request.end": {
    hasLabels: (fields, values) =>
      fields["route"] === values[0] && fields["method"] === values[1] && fields["status"] === values[2] &&
      fields["outcome"] === values[3],
    add(fields, counters, from, to) {
      counters[to] = (counters[from] ?? 0) + numberOf(fields["seconds"]);
      counters[to + 1] = (counters[from + 1] ?? 0) + numberOf(fields["requestBytes"]);
      counters[to + 2] = (counters[from + 2] ?? 0) + numberOf(fields["responseBytes"]);
    },
  },
};
