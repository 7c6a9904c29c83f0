import { VitrineError } from "../core/errors.ts";
import type { KeyRange, L1 } from "../l1/types.ts";
import type { ListPage, ListQuery } from "../l2/adapter.ts";
import { KeyGatherer, type KeyWindow } from "./key_window.ts";
import type { Timers } from "./timers.ts";
import type { ListEntry } from "./storage.ts";

/** How many windows are kept. */
const MAX_WINDOWS = 8;

/** How many admissions a window is brought up to date by; after more, L1 is looked through again. */
const MAX_RECENT = 2048;

/** How many listings may wait for a look through L1. */
const MAX_WAITING = 64;

/** Sections of a look through L1, and objects looked up, before others have their turn. */
const TURN_SECTIONS = 4;
const TURN_KEYS = 256;

/**
 * Lists L1, which has no order of keys: a look through all of it, in short steps, gathers the next keys after the one
 * asked for, more than a page of them. They are kept as a window. Later pages come out of it, with what L1 admitted
 * since; every key is looked up before it is shown. One look at a time.
 */
export class L1Listing {
  readonly #l1: L1;
  readonly #timers: Timers;
  /** The one that was used last at the end. */
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

  /** A window that tells what comes first in the range, brought up to date; undefined if there is none. */
  #current(range: KeyRange): KeyWindow | undefined {
    const window = this.#windows.findLast((each) => each.covers(range));
    if (window === undefined) return undefined;
    const recent = this.#l1.recentKeys(window.range, window.admissions, MAX_RECENT);
    const current = recent && window.with(recent.keys, recent.admissions);
    this.#replace(window, current);
    // With what has come its end may have moved.
    return current?.covers(range) === true ? current : undefined;
  }

  #replace(window: KeyWindow | undefined, by: KeyWindow | undefined): void {
    const others = this.#windows.filter((each) => each !== window);
    this.#windows = by === undefined ? others : [...others, by].slice(-MAX_WINDOWS);
  }

  /** Looks through L1 when those before have done so, unless one of them has found what is wanted. */
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
