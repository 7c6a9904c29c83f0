import { eventNames } from "../catalogue.ts";

/**
 * One producer's memory, which outlives its thread. The producer writes all of it but the words that say what it is
 * asked for and how far the collector has come.
 *
 *     header     words, see WORD
 *     wanted     a word per event type: how closely somebody listens to it; the collector writes them
 *     book 0, 1  rows of counters, one behind the other (counter_rows.ts); one book is written at a time
 *     ring       individual events (ring.ts)
 */
export const WORD = {
  /** How many times a book was opened after the first: book n lies in place n & 1. */
  bookOpened: 0,
  /** How many books the collector has finished with. */
  booksDrained: 1,
  /** Where the rows of each book end, in bytes from its start; two words. */
  bookEnd: 2,
  /** Where the next event goes, and where the oldest one lies, in bytes from the start of the ring. */
  ringHead: 4,
  ringTail: 5,
  /** How many events the collector has taken out of the ring; wraps. */
  ringTaken: 6,
  wanted: 16,
} as const;

/** Bytes of one book, and the part of it that label sets of clients' choice may take. */
export const BOOK_BYTES = 1 << 20;
export const OPEN_BYTES = BOOK_BYTES * 3 / 4;

const RING_BYTES_PER_EVENT = 128;
const MIN_RING_BYTES = 1 << 16;
const MAX_RING_BYTES = 1 << 24;

const BOOKS_AT = align((WORD.wanted + eventNames.length) * 4);
const RING_AT = BOOKS_AT + 2 * BOOK_BYTES;

/** Views of one producer's memory. */
export class Segment {
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly bytes: Uint8Array;
  /** Where the ring begins, and its length. */
  readonly ringAt: number = RING_AT;
  readonly ringBytes: number;

  constructor(memory: ArrayBufferLike) {
    this.words = new Int32Array(memory);
    this.doubles = new Float64Array(memory);
    this.bytes = new Uint8Array(memory);
    this.ringBytes = memory.byteLength - RING_AT;
  }

  /** Where a book begins, by its number. */
  bookAt(book: number): number {
    return BOOKS_AT + (book & 1) * BOOK_BYTES;
  }
}

/** Memory for the segment of a producer that keeps so many individual events. Pages that are not used cost nothing. */
export function allocateSegment(queueSize: number): SharedArrayBuffer {
  return new SharedArrayBuffer(segmentBytes(queueSize));
}

/** The same for a producer on the collector's own thread. */
export function privateSegment(queueSize: number): ArrayBuffer {
  return new ArrayBuffer(segmentBytes(queueSize));
}

function segmentBytes(queueSize: number): number {
  return RING_AT + align(Math.min(MAX_RING_BYTES, Math.max(MIN_RING_BYTES, queueSize * RING_BYTES_PER_EVENT)));
}

/** The next multiple of eight. */
export function align(bytes: number): number {
  return (bytes + 7) & ~7;
}
