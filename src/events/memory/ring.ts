import type { EventName } from "../catalogue.ts";
import type { Delivered } from "../delivered.ts";
import type { FieldValues } from "../schema.ts";
import { readRecord, recordBound, writeRecord } from "./record.ts";
import { type Segment, WORD } from "./segment.ts";

/** Stands where a record did not fit before the end of the ring: the next one lies at its start. */
const SKIP = -1;

/** The producer's end of the ring of individual events. */
export class RingWriter {
  readonly #segment: Segment;
  readonly #queueSize: number;
  #head = 0;
  #written = 0;

  /** `queueSize`: most events that may wait. */
  constructor(segment: Segment, queueSize: number) {
    this.#segment = segment;
    this.#queueSize = queueSize;
  }

  /** How many events were written so far; wraps. */
  get written(): number {
    return this.#written;
  }

  /** Writes an event, in one step for whoever reads it; false if there is no room. */
  push(type: number, timeMs: number, fields: FieldValues): boolean {
    const segment = this.#segment;
    const { words, ringAt, ringBytes } = segment;
    // Plain reads: an older value only means less room, and what is written depends on them.
    if (((this.#written - (words[WORD.ringTaken] ?? 0)) | 0) >= this.#queueSize) return false;
    const tail = words[WORD.ringTail] ?? 0;
    const bound = recordBound(type, fields);
    let at = this.#head;
    // The head never reaches the tail from behind: where they meet, the ring is empty.
    if (at >= tail && bound > ringBytes - at) {
      if (bound >= tail) return false;
      if (at < ringBytes) words[(ringAt + at) / 4] = SKIP;
      at = 0;
    } else if (at < tail && bound >= tail - at) return false;
    this.#head = at + writeRecord(segment, ringAt + at, { type, timeMs, fields });
    this.#written = (this.#written + 1) | 0;
    Atomics.store(words, WORD.ringHead, this.#head);
    return true;
  }
}

/** An event of the ring. */
export interface Individual {
  /** Its type's place in the catalogue. */
  readonly type: number;
  /** Undefined if it cannot be read. */
  readonly event: Delivered<EventName> | undefined;
}

/** The collector's end of the ring. */
export class RingReader {
  readonly #segment: Segment;
  #tail: number;
  #taken: number;

  /** Goes on where another one has come to. */
  constructor(segment: Segment) {
    this.#segment = segment;
    this.#tail = Atomics.load(segment.words, WORD.ringTail);
    this.#taken = Atomics.load(segment.words, WORD.ringTaken);
  }

  /** How many events were taken so far; wraps. */
  get taken(): number {
    return this.#taken;
  }

  /** Where the newest event ends, for `take`. */
  get head(): number {
    return Atomics.load(this.#segment.words, WORD.ringHead);
  }

  /** The oldest event that lies before `head`; undefined if there is none. */
  take(head: number): Individual | undefined {
    if (this.#tail === head) return undefined;
    const segment = this.#segment;
    const { words, ringAt } = segment;
    const at = this.#placeOf(this.#tail);
    const size = words[(ringAt + at) / 4] ?? 0;
    const type = words[(ringAt + at) / 4 + 1] ?? 0;
    const event = readRecord(segment, ringAt + at);
    this.#tail = size > 0 ? at + size : head;
    this.#taken = (this.#taken + 1) | 0;
    Atomics.store(words, WORD.ringTaken, this.#taken);
    Atomics.store(words, WORD.ringTail, this.#tail);
    return { type, event };
  }

  /** Adds the events that wait to the counts by type. */
  countPending(counts: number[]): void {
    const { words, ringAt } = this.#segment;
    const { head } = this;
    for (let tail = this.#tail; tail !== head;) {
      const word = (ringAt + this.#placeOf(tail)) / 4;
      const type = words[word + 1] ?? 0;
      counts[type] = (counts[type] ?? 0) + 1;
      tail = this.#placeOf(tail) + (words[word] ?? 0);
    }
  }

  #placeOf(tail: number): number {
    const { words, ringAt, ringBytes } = this.#segment;
    return tail >= ringBytes || words[(ringAt + tail) / 4] === SKIP ? 0 : tail;
  }
}
