import { AtomicWords, type SharedWords } from "../../core/shared_table.ts";
import { type ArenaLayout, type ArenaOptions, COUNTER, GRANULE_BYTES, planArena } from "./layout.ts";

/**
 * The memory of L1, allocated once by the main thread and mapped by every worker. It can be posted to a worker as it
 * is.
 */
export interface ArenaMemory {
  readonly options: ArenaOptions;
  readonly control: ArrayBufferLike;
  readonly segments: readonly ArrayBufferLike[];
}

/**
 * Allocates an arena, zeroed but not formatted: shared between threads, or private to this isolate. The system backs
 * its pages when they are first touched.
 */
export function allocateArena(options: ArenaOptions, sharing: "shared" | "private" = "shared"): ArenaMemory {
  const buffer = (bytes: number) => sharing === "shared" ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
  const layout = planArena(options);
  const segments: ArrayBufferLike[] = [];
  for (let left = layout.granules; left > 0; left -= layout.segmentGranules) {
    segments.push(buffer(Math.min(left, layout.segmentGranules) * GRANULE_BYTES));
  }
  return { options, control: buffer(layout.words * 4), segments };
}

/** One thread's views over an arena. */
export class Arena implements SharedWords {
  readonly layout: ArenaLayout;
  /** The control buffer as 32-bit words. */
  readonly words: Int32Array;
  /** The same words, for what threads do without the lock. */
  readonly atomics: AtomicWords;
  /** The same buffer as float64; index = word index / 2. */
  readonly doubles: Float64Array;
  readonly #segments: readonly Uint8Array[];
  readonly #shift: number;
  readonly #mask: number;

  constructor(memory: ArenaMemory) {
    this.layout = planArena(memory.options);
    this.#shift = Math.log2(this.layout.segmentGranules);
    this.#mask = this.layout.segmentGranules - 1;
    this.words = new Int32Array(memory.control);
    this.atomics = new AtomicWords(this.words);
    this.doubles = new Float64Array(memory.control);
    this.#segments = memory.segments.map((segment) => new Uint8Array(segment));
  }

  /** The segment that contains a granule. */
  segment(granule: number): Uint8Array {
    const segment = this.#segments[granule >>> this.#shift];
    if (segment === undefined) throw new RangeError(`address the arena: granule ${granule} is outside`);
    return segment;
  }

  /** Byte offset of a granule inside its segment. */
  offset(granule: number): number {
    return (granule & this.#mask) * GRANULE_BYTES;
  }
}

/** The shared words outside the tables, addressed by their names in COUNTER. */
export class Counters {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #at: number;

  constructor(arena: Arena) {
    this.#words = arena.words;
    this.#doubles = arena.doubles;
    this.#at = arena.layout.at.counters;
  }

  get(name: number): number {
    return this.#words[this.#at + name] ?? 0;
  }

  set(name: number, value: number): void {
    this.#words[this.#at + name] = value;
  }

  add(name: number, change: number): void {
    this.set(name, this.get(name) + change);
  }

  /** Bytes of the resident objects. A float64, because 32 bits are too few. */
  get payloadBytes(): number {
    return this.#doubles[(this.#at + COUNTER.payloadBytes) >>> 1] ?? 0;
  }

  set payloadBytes(bytes: number) {
    this.#doubles[(this.#at + COUNTER.payloadBytes) >>> 1] = bytes;
  }

  /** Bytes of the dirty objects. */
  get dirtyBytes(): number {
    return this.#doubles[(this.#at + COUNTER.dirtyBytes) >>> 1] ?? 0;
  }

  set dirtyBytes(bytes: number) {
    this.#doubles[(this.#at + COUNTER.dirtyBytes) >>> 1] = bytes;
  }
}
