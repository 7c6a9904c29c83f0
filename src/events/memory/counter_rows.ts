import { eventNames, type EventSchema, type FieldValues, OTHER, schemaOf } from "../catalogue.ts";
import { type FieldReader, fieldReader, numberOf } from "./field_reader.ts";
import { align, BOOK_BYTES, OPEN_BYTES, type Segment, WORD } from "./segment.ts";
import { bucketOf } from "../../core/events.ts";

/**
 * A row counts the events of one type with the same labels, the same bucket and the same value of `shed`.
 *
 *     commit  type  cell  length of the labels      32-bit words
 *     the label values, a JSON array in UTF-8, padded to a multiple of eight
 *     slot 0, slot 1                                 64-bit floats: count, total of the histogram field (if any), sums
 *
 * The slot `commit & 1` is valid. To count an event, the producer writes the other slot and then increments `commit` in
 * one step. A thread that dies before that has not counted the event; one that dies after it has counted all of it. A
 * reader that sees the same `commit` before and after reading the slot has read a consistent state.
 * (On a processor that reorders later writes before the commit, it may see part of the next event early. The next look
 * corrects that, because it takes the difference. An atomic read in the producer would prevent it and costs Deno 38
 * ns.)
 */
export const ROW = { commit: 0, type: 1, cell: 2, labelBytes: 3, headerBytes: 16 } as const;

/** The number of floats in a slot. */
export function slotWidth({ sums, histogram }: EventSchema): number {
  return 1 + (histogram === undefined ? 0 : 1) + sums.length;
}

interface Row {
  /** The index of the commit word in the words, and of the slots in the floats. */
  readonly commitAt: number;
  readonly slotsAt: number;
}

/** A node of the tree of label values, one level per label; the leaves hold the rows, by cell. */
interface Node {
  readonly values: readonly string[];
  readonly children: Map<string, Node>;
  readonly rows: (Row | undefined)[];
}

/**
 * The rows of the current book. When it is full, the producer leaves it to the collector and begins the other one, once
 * the collector has finished that. Until then, new label values chosen by clients are counted under OTHER.
 */
export class CounterRows {
  /** By type. */
  readonly types: readonly TypeRows[];
  readonly #segment: Segment;
  readonly #encoder = new TextEncoder();
  #book = 0;
  #end = 0;

  constructor(segment: Segment) {
    this.#segment = segment;
    this.types = eventNames.map((name, type) => new TypeRows(schemaOf(name), { type, segment, book: this }));
    this.#begin();
  }

  /** A new row, with all counters at zero; undefined if there is no room. */
  append({ type, cell, width, values, limit }: {
    readonly type: number;
    readonly cell: number;
    readonly width: number;
    readonly values: readonly string[];
    /** Maximum size of the book with the new row. */
    readonly limit: number;
  }): Row | undefined {
    const { words, doubles, bytes } = this.#segment;
    const labels = this.#encoder.encode(JSON.stringify(values));
    const slotsFrom = this.#end + align(ROW.headerBytes + labels.length);
    const end = slotsFrom + 2 * width * 8;
    if (end > limit) return undefined;
    const bookAt = this.#segment.bookAt(this.#book);
    const at = (bookAt + this.#end) / 4;
    const slotsAt = (bookAt + slotsFrom) / 8;
    words[at + ROW.commit] = 0;
    words[at + ROW.type] = type;
    words[at + ROW.cell] = cell;
    words[at + ROW.labelBytes] = labels.length;
    bytes.set(labels, at * 4 + ROW.headerBytes);
    for (let index = 0; index < 2 * width; index++) doubles[slotsAt + index] = 0;
    this.#end = end;
    // Now the row exists.
    Atomics.store(words, WORD.bookEnd + (this.#book & 1), end);
    return { commitAt: at + ROW.commit, slotsAt };
  }

  /** Begins the other book, if the collector has finished it. */
  beginNextBook(): boolean {
    const { words } = this.#segment;
    if (Atomics.load(words, WORD.booksDrained) < this.#book) return false;
    this.#book++;
    Atomics.store(words, WORD.bookEnd + (this.#book & 1), 0);
    Atomics.store(words, WORD.bookOpened, this.#book);
    this.#begin();
    return true;
  }

  #begin(): void {
    this.#end = 0;
    for (const rows of this.types) rows.begin();
  }
}

/**
 * The rows of one event type. `add` is the hot path of the bus: it allocates nothing for a known label set, and
 * recognizes the label set of the previous event by comparing strings.
 */
export class TypeRows {
  readonly #schema: EventSchema;
  readonly #type: number;
  readonly #width: number;
  readonly #book: CounterRows;
  // Copied into fields, because each indirection costs Deno a few nanoseconds.
  readonly #reader: FieldReader;
  readonly #labels: readonly string[];
  readonly #histogram: string | undefined;
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  #root = newNode([]);
  #last = this.#root;
  /** The row for events that find no other: all labels are OTHER. */
  #rest: Row | undefined;

  constructor(
    schema: EventSchema,
    { type, segment, book }: { readonly type: number; readonly segment: Segment; readonly book: CounterRows },
  ) {
    this.#schema = schema;
    this.#type = type;
    this.#width = slotWidth(schema);
    this.#book = book;
    this.#reader = fieldReader(schema);
    this.#labels = schema.labels;
    this.#histogram = schema.histogram;
    this.#words = segment.words;
    this.#doubles = segment.doubles;
  }

  /** Forgets its rows when a new book begins. */
  begin(): void {
    this.#root = newNode([]);
    this.#last = this.#root;
    this.#rest = this.#row(this.#schema.labels.map(() => OTHER), 0);
  }

  /** Counts one event. Keeps nothing of `fields` except new label values. `shed`: a subscriber wanted its details. */
  add(fields: FieldValues, shed: boolean): void {
    const histogram = this.#histogram;
    const leaf = this.#reader.hasLabels(fields, this.#last.values) ? this.#last : this.#leafOf(fields);
    const value = histogram === undefined ? 0 : numberOf(fields[histogram]);
    const cell = (histogram === undefined ? 0 : 2 * bucketOf(value, this.#schema.bounds)) + (shed ? 1 : 0);
    const row = leaf?.rows[cell] ?? this.#newRow(fields, cell);
    if (row === undefined) return;
    const words = this.#words;
    const doubles = this.#doubles;
    const width = this.#width;
    const commit = words[row.commitAt] ?? 0;
    const odd = commit & 1;
    const from = row.slotsAt + odd * width;
    const to = row.slotsAt + (1 - odd) * width;
    doubles[to] = (doubles[from] ?? 0) + 1;
    this.#reader.add(fields, doubles, from + 1, to + 1);
    Atomics.store(words, row.commitAt, (commit + 1) | 0);
  }

  #leafOf(fields: FieldValues): Node | undefined {
    let node = this.#root;
    for (const label of this.#labels) {
      const child = node.children.get(String(fields[label]));
      if (child === undefined) return undefined;
      node = child;
    }
    return this.#last = node;
  }

  #newRow(fields: FieldValues, cell: number): Row | undefined {
    const { labels, openLabels } = this.#schema;
    const values = labels.map((label) => String(fields[label]));
    const row = this.#row(values, cell);
    if (row !== undefined) return row;
    if (this.#book.beginNextBook()) return this.#row(values, cell) ?? this.#rest;
    return this.#row(labels.map((label, index) => openLabels.has(label) ? OTHER : values[index] ?? ""), cell) ??
      this.#rest;
  }

  /** The row of a label set; created if it is missing and there is room. */
  #row(values: readonly string[], cell: number): Row | undefined {
    let node: Node | undefined = this.#root;
    for (const value of values) node = node?.children.get(value);
    const known = node?.rows[cell];
    if (known !== undefined) return known;
    const isOpen = this.#schema.labels.some((label, index) =>
      this.#schema.openLabels.has(label) && values[index] !== OTHER && values[index] !== ""
    );
    const limit = isOpen ? OPEN_BYTES : BOOK_BYTES;
    const row = this.#book.append({ type: this.#type, cell, width: this.#width, values, limit });
    if (row !== undefined) this.#grow(values).rows[cell] = row;
    return row;
  }

  #grow(values: readonly string[]): Node {
    let node = this.#root;
    for (const value of values) {
      let child = node.children.get(value);
      if (child === undefined) {
        child = newNode([...node.values, value]);
        node.children.set(value, child);
      }
      node = child;
    }
    return node;
  }
}

function newNode(values: readonly string[]): Node {
  return { values, children: new Map(), rows: [] };
}
