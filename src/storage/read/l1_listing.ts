import { VitrineError } from "../../core/errors.ts";
import { compareKeys } from "../../core/object.ts";
import type { KeyRange, L1 } from "../../l1/l1.ts";
import type { ListPage, ListQuery } from "../../l2/adapter.ts";
import type { ListEntry } from "../storage.ts";
import type { Timers } from "../timers.ts";

/** Maximum number of cached windows. */
const MAX_WINDOWS = 8;

/** Maximum number of admissions with which a window is updated. After more, L1 is scanned again. */
const MAX_RECENT = 2048;

/** Maximum number of listings that wait for a scan of L1. */
const MAX_WAITING = 64;

/** Critical sections of a scan, and objects looked up, before other work may run. */
const TURN_SECTIONS = 4;
const TURN_KEYS = 256;

/**
 * Lists L1, which has no order of keys. A scan of all of L1, in short steps, collects the next keys after the requested
 * one, more than a page of them, and caches them as a window. Later pages come from the window, updated with what L1
 * has admitted since. Every key is looked up before it is shown. Only one scan runs at a time.
 */
export class L1Listing {
  readonly #l1: L1;
  readonly #timers: Timers;
  /** The most recently used window is last. */
  #windows: readonly KeyWindow[] = [];
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor({ l1, timers }: { readonly l1: L1; readonly timers: Timers }) {
    this.#l1 = l1;
    this.#timers = timers;
  }

  /** Throws busy. */
  async page({ tenant, prefix, limit, after }: ListQuery): Promise<ListPage> {
    const entries: ListEntry[] = [];
    for (let range: KeyRange = { tenant, prefix, after };;) {
      const window = this.#current(range) ?? await this.#inTurn(range);
      await this.#show(window, { range, limit, entries });
      if (entries.length === limit) return { entries, more: true };
      if (window.range.through === undefined) return { entries, more: false };
      range = { tenant, prefix, after: window.range.through };
    }
  }

  /** Adds the objects of a window to a page until it is full. */
  async #show(
    window: KeyWindow,
    page: { readonly range: KeyRange; readonly limit: number; readonly entries: ListEntry[] },
  ): Promise<void> {
    const { range: { tenant, after }, limit, entries } = page;
    const gone = new Set<string>();
    const first = window.indexAfter(after);
    for (let i = first; i < window.keys.length && entries.length < limit; i += 1) {
      if (i > first && (i - first) % TURN_KEYS === 0) await this.#timers.turn();
      const key = window.keys[i] ?? "";
      const meta = this.#l1.peek({ tenant, key });
      if (meta === undefined) gone.add(key);
      else entries.push({ key, meta });
    }
    if (gone.size === 0 || !this.#windows.includes(window)) return;
    this.#replace(window, window.without(gone));
  }

  /** An up-to-date window that covers the start of the range; undefined if there is none. */
  #current(range: KeyRange): KeyWindow | undefined {
    const window = this.#windows.findLast((each) => each.covers(range));
    if (window === undefined) return undefined;
    const recent = this.#l1.recentKeys(window.range, window.admissions, MAX_RECENT);
    const current = recent && window.with(recent.keys, recent.admissions);
    this.#replace(window, current);
    // New keys may have moved its end.
    return current?.covers(range) === true ? current : undefined;
  }

  #replace(window: KeyWindow | undefined, by: KeyWindow | undefined): void {
    const others = this.#windows.filter((each) => each !== window);
    this.#windows = by === undefined ? others : [...others, by].slice(-MAX_WINDOWS);
  }

  /** Scans L1 after the scans before it, unless one of them has already found the keys. */
  async #inTurn(range: KeyRange): Promise<KeyWindow> {
    if (this.#waiting >= MAX_WAITING) {
      throw new VitrineError("busy", `list L1: ${MAX_WAITING} others wait`, { details: { limit: MAX_WAITING } });
    }
    this.#waiting += 1;
    const looking = this.#last.then(() => this.#current(range) ?? this.#look(range)).finally(() => this.#waiting -= 1);
    this.#last = looking.catch(() => undefined);
    return await looking;
  }

  async #look(range: KeyRange): Promise<KeyWindow> {
    const l1 = this.#l1;
    const gatherer = new KeyGatherer(range);
    let { admissions } = l1;
    const catchUp = (): void => {
      const recent = l1.recentKeys(gatherer.range, admissions, Infinity);
      if (recent === undefined) return;
      gatherer.add(recent.keys);
      admissions = recent.admissions;
    };
    let sections = 0;
    for (const keys of l1.keys(() => gatherer.range)) {
      gatherer.add(keys);
      sections += 1;
      if (sections % TURN_SECTIONS > 0) continue;
      await this.#timers.turn();
      catchUp();
    }
    catchUp();
    const window = gatherer.window(admissions);
    this.#replace(undefined, window);
    return window;
  }
}

/** Number of keys that a window keeps, if there are that many. */
const WINDOW_KEYS = 2048;

const SURROGATE_OR_ABOVE = /[\ud800-\uffff]/;

/** Collects the first keys of L1 after a given key, in any order. Keeps at most twice WINDOW_KEYS. */
class KeyGatherer {
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
class KeyWindow {
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
