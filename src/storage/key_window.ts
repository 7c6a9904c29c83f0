import { compareKeys } from "../core/key.ts";
import type { KeyRange } from "../l1/l1.ts";

/** Number of keys that a window keeps, if there are that many. */
export const WINDOW_KEYS = 2048;

const SURROGATE_OR_ABOVE = /[\ud800-\uffff]/;

/** Collects the first keys of L1 after a given key, in any order. Keeps at most twice WINDOW_KEYS. */
export class KeyGatherer {
  readonly #range: KeyRange;
  #keys: string[] = [];
  #through: string | undefined;

  constructor(range: KeyRange) {
    this.#range = range;
    this.#through = range.through;
  }

  /** The range of keys that may still be among the first. */
  get range(): KeyRange {
    return { ...this.#range, through: this.#through };
  }

  add(keys: readonly string[]): void {
    for (const key of keys) this.#keys.push(key);
    if (this.#keys.length > 2 * WINDOW_KEYS) this.#cut();
  }

  /** A window of all collected keys. `admissions`: L1's count when the keys were complete. */
  window(admissions: number): KeyWindow {
    this.#cut();
    return new KeyWindow({ range: this.range, keys: this.#keys, admissions });
  }

  #cut(): void {
    const keys = [...new Set(this.#keys)];
    // Below the surrogates UTF-16 sorts like UTF-8, and the built-in order is much faster.
    this.#keys = keys.some((key) => SURROGATE_OR_ABOVE.test(key)) ? keys.sort(compareKeys) : keys.sort();
    if (this.#keys.length <= WINDOW_KEYS) return;
    this.#keys.length = WINDOW_KEYS;
    this.#through = this.#keys.at(-1);
  }
}

/** The keys of L1 in a range at some moment, in order. */
export class KeyWindow {
  readonly range: KeyRange;
  readonly keys: readonly string[];
  readonly admissions: number;

  constructor(content: { readonly range: KeyRange; readonly keys: readonly string[]; readonly admissions: number }) {
    this.range = content.range;
    this.keys = content.keys;
    this.admissions = content.admissions;
  }

  /** True if the window can tell what comes after `range.after`. */
  covers({ tenant, prefix, after }: KeyRange): boolean {
    const mine = this.range;
    if (mine.tenant !== tenant || mine.prefix !== prefix || compareKeys(mine.after, after) > 0) return false;
    return mine.through === undefined || compareKeys(after, mine.through) < 0;
  }

  /** The index of the first key after `after`. */
  indexAfter(after: string): number {
    let low = 0;
    let high = this.keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(this.keys[middle] ?? "", after) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** This window, with keys that were admitted since. */
  with(keys: readonly string[], admissions: number): KeyWindow {
    if (keys.length === 0) return new KeyWindow({ range: this.range, keys: this.keys, admissions });
    const gatherer = new KeyGatherer(this.range);
    gatherer.add(this.keys);
    gatherer.add(keys);
    return gatherer.window(admissions);
  }

  /** This window, without keys that are gone. */
  without(gone: ReadonlySet<string>): KeyWindow {
    const { range, admissions } = this;
    return new KeyWindow({ range, keys: this.keys.filter((key) => !gone.has(key)), admissions });
  }
}
