import type { EventName } from "../catalogue.ts";
import { eventNames } from "../schema.ts";
import type { Batch } from "../transport.ts";
import { ABSENT, type FieldPlan, HEADER, plans } from "./layout.ts";

type Fields = Readonly<Record<string, unknown>>;

const typeOf: ReadonlyMap<EventName, number> = new Map(eventNames.map((name, type) => [name, type]));
const MAX_WORDS_PER_EVENT = 3 + Math.max(...plans.map(({ fields }) => fields.length));

/** Packs batches; layout.ts has the format. Keeps a scratch buffer as large as the largest batch so far. */
export class BatchEncoder {
  readonly #text = new TextEncoder();
  readonly #ids = new Map<string, number>();
  #strings: string[] = [];
  #words = new Float64Array(1024);
  #end = 0;

  /** One buffer of its own. `sequence`: place of the batch among those of its producer. */
  encode({ singles, groups, counts }: Batch, sequence: number): ArrayBuffer {
    this.#reserve(HEADER.words + counts.size * 3 + (singles.length + groups.length) * MAX_WORDS_PER_EVENT);
    this.#end = HEADER.words;
    for (const [name, { published, shed }] of counts) {
      this.#put(typeOf.get(name) ?? 0);
      this.#put(published);
      this.#put(shed);
    }
    for (const { name, timeMs, fields } of singles) {
      const type = typeOf.get(name) ?? 0;
      this.#put(type);
      this.#put(timeMs);
      for (const field of plans[type]?.fields ?? []) this.#put(this.#wordOf(field, fields));
    }
    for (const group of groups) {
      const type = typeOf.get(group.name) ?? 0;
      this.#put(type);
      this.#put(group.timeMs);
      this.#put(group.count);
      for (const field of plans[type]?.fields ?? []) {
        if (field.kind !== "detail") this.#put(this.#wordOf(field, group));
      }
    }
    const words = this.#words;
    words[HEADER.sequence] = sequence;
    words[HEADER.counts] = counts.size;
    words[HEADER.singles] = singles.length;
    words[HEADER.groups] = groups.length;
    words[HEADER.stringsAt] = this.#end;
    return this.#join();
  }

  #reserve(words: number): void {
    if (words > this.#words.length) this.#words = new Float64Array(words);
  }

  #put(word: number): void {
    this.#words[this.#end++] = word;
  }

  #wordOf({ name, kind }: FieldPlan, fields: Fields): number {
    const value = fields[name];
    if (kind === "number") return typeof value === "number" ? value : 0;
    if (typeof value !== "string") return ABSENT;
    if (kind === "detail") return this.#strings.push(value) - 1;
    const known = this.#ids.get(value);
    if (known !== undefined) return known;
    const id = this.#strings.push(value) - 1;
    this.#ids.set(value, id);
    return id;
  }

  #join(): ArrayBuffer {
    // JSON keeps every string as it is, lone surrogates too, and makes strings that do not hold on to the text of the
    // whole batch.
    const strings = this.#text.encode(JSON.stringify(this.#strings));
    this.#strings = [];
    this.#ids.clear();
    const bytes = new Uint8Array(this.#end * 8 + strings.byteLength);
    bytes.set(new Uint8Array(this.#words.buffer, 0, this.#end * 8));
    bytes.set(strings, this.#end * 8);
    return bytes.buffer;
  }
}
