import { eventNames } from "../catalogue.ts";

/**
 * The layout of a producer's memory, which outlives its thread. The collector writes only the subscription levels and
 * its own progress; the producer writes everything else.
 *
 *     header     words, see WORD
 *     wanted     a word per event type with its subscription level, written by the collector
 *     book 0, 1  consecutive rows of counters (counter_rows.ts); one book is written at a time
 *     ring       individual events (ring.ts)
 */
export const WORD = {
  /** The number of books opened after the first. Book n is at position n & 1. */
  bookOpened: 0,
  /** The number of books that the collector has finished. */
  booksDrained: 1,
  /** The end of the rows of each book, in bytes from its start; two words. */
  bookEnd: 2,
  /** The positions of the next and of the oldest event, in bytes from the start of the ring. */
  ringHead: 4,
  ringTail: 5,
  /** The number of events that the collector has taken from the ring; wraps. */
  ringTaken: 6,
  wanted: 16,
} as const;

/** Bytes of a book, and the part of it that label values chosen by clients may use. */
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
  /** The start and the length of the ring. */
  readonly ringAt: number = RING_AT;
  readonly ringBytes: number;

  constructor(memory: ArrayBufferLike) {
    this.words = new Int32Array(memory);
    this.doubles = new Float64Array(memory);
    this.bytes = new Uint8Array(memory);
    this.ringBytes = memory.byteLength - RING_AT;
  }

  /** The start of a book, by its number. */
  bookAt(book: number): number {
    return BOOKS_AT + (book & 1) * BOOK_BYTES;
  }
}

/** Shared memory for a producer with a ring for this many individual events. Unused pages cost nothing. */
export function allocateSegment(queueSize: number): SharedArrayBuffer {
  return new SharedArrayBuffer(segmentBytes(queueSize));
}

/** Private memory for a producer on the collector's own thread. */
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
