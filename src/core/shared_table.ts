/** Single words that all threads read and write in one order. */
export class AtomicWords {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  load(index: number): number {
    return Atomics.load(this.#words, index);
  }

  store(index: number, value: number): void {
    Atomics.store(this.#words, index, value);
  }

  /** Writes `value` if the word is `expected`. True if it was. */
  replace(index: number, expected: number, value: number): boolean {
    return Atomics.compareExchange(this.#words, index, expected, value) === expected;
  }

  /** Returns the word before the change. */
  add(index: number, change: number): number {
    return Atomics.add(this.#words, index, change);
  }
}

/** Memory as 32-bit words, as float64 (index = word index / 2), and as words that change in one step. */
export interface SharedWords {
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly atomics: AtomicWords;
}

/** Views over memory, shared or private. */
export function viewWords(memory: ArrayBufferLike): SharedWords {
  const words = new Int32Array(memory);
  return { words, doubles: new Float64Array(memory, 0, words.length >>> 1), atomics: new AtomicWords(words) };
}

/**
 * Rows of 32-bit words in memory that threads share. A field is the offset of its word in the row; a float64 takes two
 * words from an even offset. `get` and `set` need a lock, or a row with one writer; the others are atomic.
 */
export class SharedTable {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #atomics: AtomicWords;
  readonly #at: number;
  readonly #rowWords: number;

  /** `at`: index of the first row's first word. */
  constructor({ words, doubles, atomics }: SharedWords, at: number, rowWords: number) {
    this.#words = words;
    this.#doubles = doubles;
    this.#atomics = atomics;
    this.#at = at;
    this.#rowWords = rowWords;
  }

  /** Index of a word, for what AtomicWords has and this has not. */
  wordAt(row: number, field: number): number {
    return this.#at + row * this.#rowWords + field;
  }

  get(row: number, field: number): number {
    return this.#words[this.#at + row * this.#rowWords + field] ?? 0;
  }

  set(row: number, field: number, value: number): void {
    this.#words[this.#at + row * this.#rowWords + field] = value;
  }

  getDouble(row: number, field: number): number {
    return this.#doubles[(this.#at + row * this.#rowWords + field) >>> 1] ?? 0;
  }

  setDouble(row: number, field: number, value: number): void {
    this.#doubles[(this.#at + row * this.#rowWords + field) >>> 1] = value;
  }

  load(row: number, field: number): number {
    return this.#atomics.load(this.#at + row * this.#rowWords + field);
  }

  store(row: number, field: number, value: number): void {
    this.#atomics.store(this.#at + row * this.#rowWords + field, value);
  }

  /** Returns the word before the change. */
  add(row: number, field: number, change: number): number {
    return this.#atomics.add(this.#at + row * this.#rowWords + field, change);
  }
}
