import type { Arena } from "./arena.ts";
import { COUNTER } from "./layout.ts";

/** The shared words that are not part of a table, by their name in COUNTER. */
export class Counters {
  readonly #w: Int32Array;
  readonly #d: Float64Array;
  readonly #at: number;

  constructor(arena: Arena) {
    this.#w = arena.words;
    this.#d = arena.doubles;
    this.#at = arena.layout.at.counters;
  }

  get(name: number): number {
    return this.#w[this.#at + name] ?? 0;
  }

  set(name: number, value: number): void {
    this.#w[this.#at + name] = value;
  }

  add(name: number, change: number): void {
    this.set(name, this.get(name) + change);
  }

  /** Bytes of the resident objects; more than 32 bits hold. */
  get payloadBytes(): number {
    return this.#d[(this.#at + COUNTER.payloadBytes) >>> 1] ?? 0;
  }

  set payloadBytes(bytes: number) {
    this.#d[(this.#at + COUNTER.payloadBytes) >>> 1] = bytes;
  }

  /** Bytes of the unsaved objects. */
  get unsavedBytes(): number {
    return this.#d[(this.#at + COUNTER.unsavedBytes) >>> 1] ?? 0;
  }

  set unsavedBytes(bytes: number) {
    this.#d[(this.#at + COUNTER.unsavedBytes) >>> 1] = bytes;
  }
}
