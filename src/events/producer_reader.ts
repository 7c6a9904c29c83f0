import { type Individual, RingReader } from "./memory/ring.ts";
import { type Group, RowReader } from "./memory/row_reader.ts";
import { type Segment, WORD } from "./memory/segment.ts";
import { eventNames } from "./schema.ts";
import { CLOSENESS, type Interest } from "./subscriber.ts";

/** The collector's end of one producer. It needs nothing of the producer's thread, which may hang or be gone. */
export class ProducerReader {
  readonly #segment: Segment;
  readonly #ring: RingReader;
  readonly #rows: RowReader;

  constructor(segment: Segment) {
    this.#segment = segment;
    this.#ring = new RingReader(segment);
    this.#rows = new RowReader(segment);
  }

  /** Tells the producer what is listened to; it goes by that from its next publish on. */
  want(interest: Interest): void {
    for (const [type, name] of eventNames.entries()) {
      Atomics.store(this.#segment.words, WORD.wanted + type, CLOSENESS[interest.get(name) ?? "none"]);
    }
  }

  /** The individual events that are there now, in the order in which they were published. */
  *individuals(): Generator<Individual, void, void> {
    const { head } = this.#ring;
    for (let next = this.#ring.take(head); next !== undefined; next = this.#ring.take(head)) yield next;
  }

  /** The events that were only counted since the last time. */
  groups(timeMs: number): Generator<Group, void, void> {
    return this.#rows.take(timeMs);
  }

  /** Whether there may be individual events beyond the first `written`. */
  isBehind(written: number): boolean {
    return ((written - this.#ring.taken) | 0) > 0;
  }

  /** Adds what is there and was not taken yet to the counts by type. */
  countPending(counts: number[]): void {
    this.#ring.countPending(counts);
    this.#rows.countPending(counts);
  }
}
