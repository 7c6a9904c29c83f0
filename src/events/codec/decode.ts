import type { EventName } from "../catalogue.ts";
import { deliver, type Delivered } from "../delivered.ts";
import { eventNames } from "../schema.ts";
import type { Arrival, HandedOver } from "../transport.ts";
import { type FieldPlan, HEADER, plans } from "./layout.ts";

type Values = Record<string, string | number | undefined>;

/**
 * An event of each type with all its fields, to be copied: filling in a copy is far cheaper than growing an object
 * field by field.
 */
const blanks: readonly Readonly<Values>[] = plans.map(({ fields }) =>
  Object.fromEntries(fields.map(({ name, kind }) => [name, kind === "number" ? 0 : kind === "label" ? "" : undefined]))
);

/** A batch as BatchEncoder packed it. */
export class PackedBatch {
  /** Place among the batches of its producer. */
  readonly sequence: number;
  readonly #words: Float64Array;
  readonly #buffer: ArrayBuffer;
  #strings: readonly string[] = [];
  #at = HEADER.words;

  constructor(buffer: ArrayBuffer) {
    this.#buffer = buffer;
    this.#words = new Float64Array(buffer, 0, Math.floor(buffer.byteLength / 8));
    this.sequence = this.#word(HEADER.sequence);
  }

  /** The batch itself. */
  unpack(): Arrival {
    this.#at = HEADER.words;
    this.#strings = parseStrings(new Uint8Array(this.#buffer, this.#word(HEADER.stringsAt) * 8));
    const counts = new Map<EventName, HandedOver>();
    for (let left = this.#word(HEADER.counts); left > 0; left--) {
      const name = eventNames[this.#next()];
      const published = this.#next();
      const shed = this.#next();
      if (name !== undefined) counts.set(name, { published, shed });
    }
    return {
      singles: this.#events(this.#word(HEADER.singles), false),
      groups: this.#events(this.#word(HEADER.groups), true),
      counts,
    };
  }

  #events(length: number, folded: boolean): readonly Delivered<EventName>[] {
    const events: Delivered<EventName>[] = [];
    for (let left = length; left > 0; left--) {
      const type = this.#next();
      const plan = plans[type];
      if (plan === undefined) throw new Error(`unpack a batch: no event type: ${type}`);
      const timeMs = this.#next();
      const count = folded ? this.#next() : 1;
      const values: Values = { ...blanks[type] };
      for (const field of plan.fields) {
        if (!folded || field.kind !== "detail") values[field.name] = this.#valueOf(field);
      }
      events.push(deliver({ name: plan.name, timeMs, count, folded }, values));
    }
    return events;
  }

  #valueOf({ kind }: FieldPlan): string | number | undefined {
    const word = this.#next();
    return kind === "number" ? word : this.#strings[word];
  }

  #next(): number {
    return this.#word(this.#at++);
  }

  #word(index: number): number {
    return this.#words[index] ?? 0;
  }
}

function parseStrings(bytes: Uint8Array): readonly string[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- BatchEncoder wrote it
  return JSON.parse(new TextDecoder().decode(bytes)) as readonly string[];
}
