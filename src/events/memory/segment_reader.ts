import { type EventName, eventNames, type EventSchema, schemaOf } from "../catalogue.ts";
import { deliver, type Delivered, LEVEL, type SubscriptionLevels } from "../subscriber.ts";
import { ROW, slotWidth } from "./counter_rows.ts";
import { align, type Segment, WORD } from "./segment.ts";
import { type Individual, RingReader } from "./ring.ts";
import { meanIn } from "../../core/events.ts";

const schemas: readonly EventSchema[] = eventNames.map(schemaOf);

/** An aggregate of events, taken from a row. */
export interface Group {
  readonly type: number;
  readonly event: Delivered<EventName>;
  /** True if a subscriber wanted their details. */
  readonly shed: boolean;
}

/** A row, as seen by its reader. */
interface KnownRow {
  readonly type: number;
  readonly schema: EventSchema;
  readonly bucket: number;
  readonly shed: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly commitAt: number;
  readonly slotsAt: number;
  readonly width: number;
  /** The commit word and the counters at the last read. */
  commit: number;
  taken: Float64Array;
}

/** Reads a producer's rows and returns the differences since the previous read. */
export class RowReader {
  readonly #segment: Segment;
  readonly #decoder = new TextDecoder();
  #rows: KnownRow[] = [];
  #book: number;
  /** The end of the known rows of the book, in bytes. */
  #known = 0;

  /** Begins with the first book that is not finished. */
  constructor(segment: Segment) {
    this.#segment = segment;
    this.#book = Atomics.load(segment.words, WORD.booksDrained);
  }

  /** An aggregate for each row that has changed. */
  *take(timeMs: number): Generator<Group, void, void> {
    const { words } = this.#segment;
    // Read first: everything counted in earlier books is visible now.
    const opened = Atomics.load(words, WORD.bookOpened);
    for (;;) {
      this.#learn();
      for (const row of this.#rows) {
        if (Atomics.load(words, row.commitAt) !== row.commit) yield groupOf(row, this.#change(row), timeMs);
      }
      if (this.#book >= opened) return;
      this.#book++;
      this.#rows = [];
      this.#known = 0;
      Atomics.store(words, WORD.booksDrained, this.#book);
    }
  }

  /** Adds the events that `take` would return to the counts by type. */
  countPending(counts: number[]): void {
    this.#learn();
    for (const row of this.#rows) {
      counts[row.type] = (counts[row.type] ?? 0) + (this.#read(row).values[0] ?? 0) - (row.taken[0] ?? 0);
    }
  }

  #learn(): void {
    const { words, bytes } = this.#segment;
    const end = Atomics.load(words, WORD.bookEnd + (this.#book & 1));
    const bookAt = this.#segment.bookAt(this.#book);
    while (this.#known < end) {
      const at = (bookAt + this.#known) / 4;
      const type = words[at + ROW.type] ?? 0;
      const cell = words[at + ROW.cell] ?? 0;
      const labelBytes = words[at + ROW.labelBytes] ?? 0;
      const labelsAt = at * 4 + ROW.headerBytes;
      const schema = schemas[type];
      if (schema === undefined) throw new RangeError(`read event counters: no such type: ${type}`);
      const values = parseLabels(this.#decoder.decode(bytes.slice(labelsAt, labelsAt + labelBytes)));
      const width = slotWidth(schema);
      const slotsFrom = this.#known + align(ROW.headerBytes + labelBytes);
      this.#rows.push({
        type,
        schema,
        bucket: cell >> 1,
        shed: (cell & 1) === 1,
        labels: Object.fromEntries(schema.labels.map((label, index) => [label, values[index] ?? ""])),
        commitAt: at + ROW.commit,
        slotsAt: (bookAt + slotsFrom) / 8,
        width,
        commit: 0,
        taken: new Float64Array(width),
      });
      this.#known = slotsFrom + 2 * width * 8;
    }
  }

  #change(row: KnownRow): Float64Array {
    const { commit, values } = this.#read(row);
    const change = values.map((value, index) => value - (row.taken[index] ?? 0));
    row.commit = commit;
    row.taken = values;
    return change;
  }

  #read({ commitAt, slotsAt, width }: KnownRow): { readonly commit: number; readonly values: Float64Array } {
    const { words, doubles } = this.#segment;
    for (;;) {
      const commit = Atomics.load(words, commitAt);
      const from = slotsAt + (commit & 1) * width;
      const values = doubles.slice(from, from + width);
      // Not a load, which some processors may execute before the reads above.
      if (Atomics.add(words, commitAt, 0) === commit) return { commit, values };
    }
  }
}

function groupOf({ type, schema, bucket, shed, labels }: KnownRow, change: Float64Array, timeMs: number): Group {
  const { name, sums, histogram, bounds } = schema;
  const fields: Record<string, string | number> = { ...labels };
  const [count = 0] = change;
  let at = 1;
  if (histogram !== undefined) fields[histogram] = meanIn(bucket, bounds, { total: change[at++] ?? 0, count });
  for (const sum of sums) fields[sum] = change[at++] ?? 0;
  return { type, shed, event: deliver({ name, timeMs, count, folded: true }, fields) };
}

function parseLabels(json: string): readonly string[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- CounterRows wrote it
  return JSON.parse(json) as readonly string[];
}

/** Reads the segment of one producer, whose thread may hang or be gone. */
export class SegmentReader {
  readonly #segment: Segment;
  readonly #ring: RingReader;
  readonly #rows: RowReader;

  constructor(segment: Segment) {
    this.#segment = segment;
    this.#ring = new RingReader(segment);
    this.#rows = new RowReader(segment);
  }

  /** Sets the producer's subscription levels, which apply from its next publish on. */
  subscribe(levels: SubscriptionLevels): void {
    for (const [type, name] of eventNames.entries()) {
      Atomics.store(this.#segment.words, WORD.wanted + type, LEVEL[levels.get(name) ?? "none"]);
    }
  }

  /** Takes the individual events that are in the ring now, in the order of publishing. */
  *individuals(): Generator<Individual, void, void> {
    const { head } = this.#ring;
    for (let next = this.#ring.take(head); next !== undefined; next = this.#ring.take(head)) yield next;
  }

  /** Takes the aggregates of the events that were counted since the previous call. */
  groups(timeMs: number): Generator<Group, void, void> {
    return this.#rows.take(timeMs);
  }

  /** True if not all of the first `written` individual events have been taken. */
  isBehind(written: number): boolean {
    return ((written - this.#ring.taken) | 0) > 0;
  }

  /** Adds the events that are not yet taken to the counts by type. */
  countPending(counts: number[]): void {
    this.#ring.countPending(counts);
    this.#rows.countPending(counts);
  }
}
