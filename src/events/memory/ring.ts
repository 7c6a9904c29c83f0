import { catalogue, type EventName, eventNames, type FieldValues } from "../catalogue.ts";
import { deliver, type Delivered } from "../subscriber.ts";
import { align, type Segment, WORD } from "./segment.ts";
/** Marks that the next record did not fit before the end of the ring and is at its start. */
const SKIP = -1;

/** The producer's end of the ring of individual events. */
export class RingWriter {
  readonly #segment: Segment;
  readonly #queueSize: number;
  #head = 0;
  #written = 0;

  /** `queueSize`: maximum number of events in the ring. */
  constructor(segment: Segment, queueSize: number) {
    this.#segment = segment;
    this.#queueSize = queueSize;
  }

  /** The number of events written so far; wraps. */
  get written(): number {
    return this.#written;
  }

  /** Writes an event, in one step from the reader's point of view. False if there is no room. */
  push(type: number, timeMs: number, fields: FieldValues): boolean {
    const segment = this.#segment;
    const { words, ringAt, ringBytes } = segment;
    // Plain reads: an outdated value only means less room, and the writes below depend on them.
    if (((this.#written - (words[WORD.ringTaken] ?? 0)) | 0) >= this.#queueSize) return false;
    const tail = words[WORD.ringTail] ?? 0;
    const bound = recordBound(type, fields);
    let at = this.#head;
    // The head never catches up with the tail: if they are equal, the ring is empty.
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
  /** The type's index in the catalogue. */
  readonly type: number;
  /** Undefined if it cannot be read. */
  readonly event: Delivered<EventName> | undefined;
}

/** The collector's end of the ring. */
export class RingReader {
  readonly #segment: Segment;
  #tail: number;
  #taken: number;

  /** Continues where the previous reader stopped. */
  constructor(segment: Segment) {
    this.#segment = segment;
    this.#tail = Atomics.load(segment.words, WORD.ringTail);
    this.#taken = Atomics.load(segment.words, WORD.ringTaken);
  }

  /** The number of events taken so far; wraps. */
  get taken(): number {
    return this.#taken;
  }

  /** The end of the newest event, for `take`. */
  get head(): number {
    return Atomics.load(this.#segment.words, WORD.ringHead);
  }

  /** Takes the oldest event before `head`; undefined if there is none. */
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

  /** Adds the events in the ring to the counts by type. */
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

/**
 * The format of an individual event in the ring, padded to a multiple of eight bytes:
 *
 *     length  type             32-bit words; the length of the whole record in bytes
 *     time, the numbers        64-bit floats, in the order of the catalogue
 *     the strings              each a 32-bit word (2 × length, + 1 if its code units need two bytes each; ABSENT if
 *                              there is none), then its UTF-16 code units, padded to a multiple of four
 *
 * Code units preserve every string, including lone surrogates.
 */
const ABSENT = -1;
const HEADER_BYTES = 16;

interface Plan {
  readonly name: EventName;
  readonly numbers: readonly string[];
  /** Labels and details. */
  readonly strings: readonly string[];
  /** An event with all its fields, to be copied, which is far cheaper than adding the fields one by one. */
  readonly blank: FieldValues;
}

const plans: readonly Plan[] = eventNames.map((name) => {
  const fields = Object.entries(catalogue[name].fields);
  const isString = (kind: string) => kind === "label" || kind === "detail";
  return {
    name,
    numbers: fields.filter(([, { kind }]) => !isString(kind)).map(([field]) => field),
    strings: fields.filter(([, { kind }]) => isString(kind)).map(([field]) => field),
    blank: Object.fromEntries(
      fields.map(([field, { kind }]) => [field, kind === "detail" ? undefined : kind === "label" ? "" : 0]),
    ),
  };
});

/** An upper bound on the bytes of an event's record. */
function recordBound(type: number, fields: FieldValues): number {
  const { numbers = [], strings = [] } = plans[type] ?? {};
  let bytes = HEADER_BYTES + 8 * numbers.length + 8 * strings.length + 8;
  for (const name of strings) {
    const value = fields[name];
    if (typeof value === "string") bytes += 2 * value.length;
  }
  return bytes;
}

/** Writes the record of an event at a position of the segment, and returns its length. */
function writeRecord(
  { words, doubles, bytes }: Segment,
  at: number,
  { type, timeMs, fields }: { readonly type: number; readonly timeMs: number; readonly fields: FieldValues },
): number {
  const { numbers = [], strings = [] } = plans[type] ?? {};
  let double = at / 8 + 1;
  doubles[double++] = timeMs;
  for (const name of numbers) {
    const value = fields[name];
    doubles[double++] = typeof value === "number" ? value : 0;
  }
  let end = double * 8;
  for (const name of strings) {
    const value = fields[name];
    const header = end / 4;
    end += 4;
    if (typeof value !== "string") {
      words[header] = ABSENT;
      continue;
    }
    const { length } = value;
    let isWide = false;
    for (let index = 0; index < length; index++) {
      const unit = value.charCodeAt(index);
      bytes[end + index] = unit;
      if (unit > 0xff) isWide = true;
    }
    if (isWide) {
      for (let index = 0; index < length; index++) {
        const unit = value.charCodeAt(index);
        bytes[end + 2 * index] = unit;
        bytes[end + 2 * index + 1] = unit >> 8;
      }
    }
    words[header] = 2 * length + (isWide ? 1 : 0);
    end += ((isWide ? 2 * length : length) + 3) & ~3;
  }
  const size = align(end - at);
  words[at / 4] = size;
  words[at / 4 + 1] = type;
  return size;
}

/** The event of the record at a position of the segment; undefined if the record is malformed. */
function readRecord({ words, doubles, bytes }: Segment, at: number): Delivered<EventName> | undefined {
  const plan = plans[words[at / 4 + 1] ?? ABSENT];
  if (plan === undefined) return undefined;
  const values: Record<string, string | number | undefined> = { ...plan.blank };
  let double = at / 8 + 1;
  const timeMs = doubles[double++] ?? 0;
  for (const name of plan.numbers) values[name] = doubles[double++] ?? 0;
  let end = double * 8;
  const limit = at + (words[at / 4] ?? 0);
  for (const name of plan.strings) {
    const header = words[end / 4] ?? ABSENT;
    end += 4;
    if (header === ABSENT) continue;
    const length = header >> 1;
    const isWide = (header & 1) === 1;
    if (length < 0 || end + length > limit) return undefined;
    values[name] = isWide ? wideText(bytes, end, length) : narrowText(bytes, end, length);
    end += ((isWide ? 2 * length : length) + 3) & ~3;
  }
  return deliver({ name: plan.name, timeMs, count: 1, folded: false }, values);
}

/** Maximum number of arguments in one call. */
const CHUNK = 4096;

function narrowText(bytes: Uint8Array, at: number, length: number): string {
  if (length <= CHUNK) return String.fromCharCode(...bytes.subarray(at, at + length));
  return narrowText(bytes, at, CHUNK) + narrowText(bytes, at + CHUNK, length - CHUNK);
}

function wideText(bytes: Uint8Array, at: number, length: number): string {
  let text = "";
  for (let index = at; index < at + 2 * length; index += 2) {
    text += String.fromCharCode((bytes[index] ?? 0) | (bytes[index + 1] ?? 0) << 8);
  }
  return text;
}
