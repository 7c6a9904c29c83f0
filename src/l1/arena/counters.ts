import type { Arena } from "./arena.ts";
import { COUNTER } from "./layout.ts";

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
