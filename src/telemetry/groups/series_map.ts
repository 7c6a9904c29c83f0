import type { Attributes } from "@opentelemetry/api";

/** The series of one metric, by label set. Give the attributes of a series in the same order each time. */
export class SeriesMap<Value> {
  readonly #series = new Map<string, { readonly attributes: Attributes; readonly value: Value }>();
  readonly #create: () => Value;

  /** `create`: a series that has counted nothing. */
  constructor(create: () => Value) {
    this.#create = create;
  }

  /** The series of a label set, made if it is not there. */
  of(attributes: Attributes): Value {
    const id = JSON.stringify(attributes);
    const known = this.#series.get(id);
    if (known !== undefined) return known.value;
    const value = this.#create();
    this.#series.set(id, { attributes, value });
    return value;
  }

  /** Takes out the series whose label has this value; what it is to be added to has the value `to`. */
  take(label: string, from: string, to: string): readonly { readonly into: Attributes; readonly value: Value }[] {
    const taken = Array.from(this.#series).filter(([, { attributes }]) => attributes[label] === from);
    for (const [id] of taken) this.#series.delete(id);
    return taken.map(([, { attributes, value }]) => ({ into: { ...attributes, [label]: to }, value }));
  }

  /** All series, in the order in which they were made. */
  map<Result>(each: (attributes: Attributes, value: Value) => Result): Result[] {
    return Array.from(this.#series.values(), ({ attributes, value }) => each(attributes, value));
  }
}
