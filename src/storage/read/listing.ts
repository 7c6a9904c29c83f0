import { compareKeys, isExpired } from "../../core/object.ts";
import type { ListPage, ListQuery } from "../../l2/adapter.ts";
import type { StorageContext } from "../context.ts";
import type { ListEntry } from "../storage.ts";
import type { L1Listing } from "./l1_listing.ts";

/** One level as a listing sees it. */
interface Level {
  page(query: ListQuery): Promise<ListPage>;
  /** The entry to show; undefined if the level's copy does not count. */
  show(entry: ListEntry): ListEntry | undefined;
}

/** Options of a listing. */
export interface ListingOptions {
  readonly l1: L1Listing;
  readonly query: ListQuery;
  /** The name of one tier (or "l1"); undefined for all. */
  readonly tier: string | undefined;
}

/**
 * One page of the objects of all levels in the byte order of keys. Each key appears once, as reported by the first
 * level that has it (L1 before the tiers). Throws tier_failed, busy.
 */
export async function listObjects(context: StorageContext, options: ListingOptions): Promise<ListPage> {
  const { query } = options;
  const entries: ListEntry[] = [];
  for await (const entry of merge(levelsOf(context, options).map((level) => entriesOf(level, query)))) {
    if (entries.length === query.limit) return { entries, more: true };
    entries.push(entry);
  }
  return { entries, more: false };
}

function levelsOf(
  { l1, tiers, clock, maxAgeMs }: StorageContext,
  { query, tier, l1: listing }: ListingOptions,
): readonly Level[] {
  const fresh = (entry: ListEntry): ListEntry | undefined => isExpired(entry.meta, clock.nowMs()) ? undefined : entry;
  // The tiers say what is current.
  const isTooOld = ({ key }: ListEntry): boolean =>
    maxAgeMs !== Infinity && (l1.cleanAgeMs({ tenant: query.tenant, key }) ?? 0) > maxAgeMs;
  const memory: Level = {
    // One entry more than a page tells whether there is another page.
    page: (page) => listing.page({ ...page, limit: page.limit + 1 }),
    show: (entry) => tier === undefined && isTooOld(entry) ? undefined : fresh(entry),
  };
  const levels = tiers.filter((each) => tier === undefined || tier === each.name).map((each): Level => ({
    page: (page) => each.list(page),
    show: (entry) => {
      const key = { tenant: query.tenant, key: entry.key };
      if (tier === undefined && !isTooOld(entry)) {
        // L1's object is newer, or the same.
        const known = l1.know(key);
        if (known !== undefined) return known.meta && { key: entry.key, meta: known.meta };
      }
      return each.stale.has(key) ? undefined : fresh(entry);
    },
  }));
  return tier === undefined || tier === "l1" ? [memory, ...levels] : levels;
}

/** Everything after `query.after` on one level, fetched page by page on demand. */
async function* entriesOf(level: Level, query: ListQuery): AsyncGenerator<ListEntry, void, void> {
  for (let after = query.after;;) {
    const { entries, more } = await level.page({ ...query, after });
    for (const entry of entries) {
      const shown = level.show(entry);
      if (shown !== undefined) yield shown;
    }
    const last = entries.at(-1);
    if (!more || last === undefined) return;
    after = last.key;
  }
}

/**
 * Merges ordered levels; for equal keys the first level's entry is kept. The first level is asked before the others,
 * because what it has lost is in them.
 */
async function* merge(levels: readonly AsyncGenerator<ListEntry, void, void>[]): AsyncGenerator<ListEntry, void, void> {
  const open = async (level: AsyncGenerator<ListEntry, void, void>) => ({ level, entry: (await level.next()).value });
  const first = await Promise.all(levels.slice(0, 1).map(open));
  const heads = [...first, ...await Promise.all(levels.slice(1).map(open))];
  for (;;) {
    let least: ListEntry | undefined;
    for (const { entry } of heads) {
      if (entry && (least === undefined || compareKeys(entry.key, least.key) < 0)) least = entry;
    }
    if (least === undefined) return;
    yield least;
    for (const head of heads) {
      if (head.entry?.key === least.key) head.entry = (await head.level.next()).value;
    }
  }
}
