import { VitrineError } from "../../core/errors.ts";
import type { Publish } from "../../core/events.ts";
import type { ObjectKey } from "../../core/object.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { StorageContext } from "../context.ts";
import type { HoldOutcome } from "../../l1/l1.ts";
import type { HeldKeys, Leasing, ManyLookup } from "../storage.ts";
import type { Freshness } from "./freshness.ts";
import type { LoadController } from "./load_controller.ts";
import { peek } from "./memory_read.ts";

/** Keys that L1 is asked about in one critical section. */
const SECTION_KEYS = 512;
/** Keys of one request that the tiers are asked about at the same time. */
const ASKED_KEYS = 256;

/** Attempts to lease an object that is evicted or removed as soon as it was found. */
const LEASE_ATTEMPTS = 3;

const L1_BIT = 1;

/** The levels that have the keys, and the number of keys that were not found, of which a tier could not answer. */
interface Found {
  readonly held: HeldKeys;
  readonly unknownKeys: number;
}

/**
 * Asks L1 about all keys in few critical sections, and the tiers about the others, or about all. Each key's answer is
 * that of a lookup of its own: never from an outdated copy, and no miss of a key that is there all the time.
 */
export async function lookUpMany(
  context: StorageContext,
  keys: readonly ObjectKey[],
  { allTiers = false, leasing, loads, freshness }: ManyLookup & {
    readonly loads: Pick<LoadController, "fetch">;
    readonly freshness: Pick<Freshness, "isDue" | "verify">;
  },
): Promise<Found> {
  const { l1, tiers, timers, clock } = context;
  const levels = new Uint32Array(keys.length);
  const refused: number[] = [];
  const asked: number[] = [];
  const due = keys.flatMap((key, index) => freshness.isDue(key) ? [index] : []);
  await forEach(due, async (index) => {
    const key = keys[index];
    if (key !== undefined) await freshness.verify(key);
  });
  for (let start = 0; start < keys.length; start += SECTION_KEYS) {
    if (start > 0) await timers.turn();
    const section = lookInL1(context, keys.slice(start, start + SECTION_KEYS), leasing);
    for (const [i, outcome] of section.entries()) {
      if (outcome !== "absent") levels[start + i] = L1_BIT;
      if (outcome === "full") refused.push(start + i);
      if (allTiers || outcome === "absent") asked.push(start + i);
    }
  }
  const failed = new Map<string, string>();
  let unknownKeys = 0;
  let isFull = refused.length > 0;
  const lease = async (key: ObjectKey, index: number, { holder, untilMs, loads: isLoaded }: Leasing) => {
    const isWanted = () => !isFull && clock.monotonicMs() < untilMs;
    let inTiers = 0;
    for (let attempt = 0; attempt < LEASE_ATTEMPTS; attempt++) {
      const answer = await askAbout(context, key, { allTiers, failed });
      inTiers = (answer.levels & ~L1_BIT) >>> 0;
      if (inTiers === answer.levels) {
        if (inTiers === 0 || !isLoaded) return answer;
        const outcome = await loads.fetch(key, isWanted);
        if (outcome === "unwanted") refused.push(index);
        if (outcome !== "loaded") return answer;
      }
      const [outcome] = l1.hold([key], { holder, untilMs });
      // It was evicted or removed since it was found.
      if (outcome === "absent") continue;
      if (outcome === "full") refused.push(index);
      isFull ||= outcome === "full";
      return { levels: (answer.levels | L1_BIT) >>> 0, isUnknown: false };
    }
    return { levels: inTiers, isUnknown: false };
  };
  await forEach(tiers.length === 0 ? [] : asked, async (index) => {
    const key = keys[index];
    if (key === undefined) return;
    const isHeld = levels[index] === L1_BIT;
    const answer = leasing === undefined || isHeld
      ? await askAbout(context, key, { allTiers, failed })
      : await lease(key, index, leasing);
    levels[index] = answer.levels | (isHeld ? L1_BIT : 0);
    if (answer.isUnknown && !isHeld) unknownKeys++;
  });
  refused.sort((one, other) => one - other);
  return { held: { levels, prefixes: prefixesOf(levels, tiers.length + 1), failed, refused }, unknownKeys };
}

/** Calls `each` with all indexes, in order, and with some of them at the same time. */
async function forEach(indexes: readonly number[], each: (index: number) => Promise<void>): Promise<void> {
  const waiting = indexes.values();
  const work = async (): Promise<void> => {
    for (const index of waiting) await each(index);
  };
  await Promise.all(Array.from({ length: Math.min(ASKED_KEYS, indexes.length) }, work));
}

/** What L1 has of some keys, which are leased if they are to be. */
function lookInL1({ l1 }: StorageContext, keys: readonly ObjectKey[], leasing?: Leasing): readonly HoldOutcome[] {
  if (leasing !== undefined) return l1.hold(keys, leasing);
  return l1.has(keys).map((isHeld) => isHeld ? "held" : "absent");
}

/** The levels that have a key. Asks no tier that is in `failed`, and adds those that fail. */
async function askAbout(
  context: StorageContext,
  key: ObjectKey,
  { allTiers, failed }: { readonly allTiers: boolean; readonly failed: Map<string, string> },
): Promise<{ readonly levels: number; readonly isUnknown: boolean }> {
  const { keyLock, l1, tiers } = context;
  for (;;) {
    // A dirty object needs no snapshot, which would wait for its store.
    const snapshot = l1.know(key)?.isDirty === true ? undefined : await keyLock.snapshot(key);
    const known = l1.know(key);
    let levels = known?.meta === undefined ? 0 : L1_BIT;
    // The tiers' copies of a dirty object are older than it, also if it has expired.
    if (known?.isDirty === true) return { levels, isUnknown: false };
    if (snapshot === undefined) continue;
    let isUnknown = false;
    for (const tier of tiers) {
      if (levels !== 0 && !allTiers) break;
      if (failed.has(tier.name)) {
        isUnknown = true;
        continue;
      }
      try {
        if (await tier.lookup(key) !== undefined) levels = (levels | 2 << tier.index) >>> 0;
      } catch (error) {
        if (!(error instanceof VitrineError)) throw error;
        if (!failed.has(tier.name)) failed.set(tier.name, error.message);
        isUnknown = true;
      }
    }
    if (snapshot.hasChanged) continue;
    // A load may already have what the tiers have lost, or do not say.
    if (levels === 0) levels = bitOf(context, peek(context, key)?.tier);
    return { levels, isUnknown: isUnknown && levels === 0 };
  }
}

/** The bit of the level with a name; 0 for undefined. */
function bitOf({ tiers }: StorageContext, name: string | undefined): number {
  if (name === "l1") return L1_BIT;
  const index = tiers.findIndex((tier) => tier.name === name);
  return index === -1 ? 0 : (2 << index) >>> 0;
}

/** For each level, the number of leading keys that it or a level before it has. */
export function prefixesOf(levels: Uint32Array, count: number): readonly number[] {
  const prefixes: number[] = [];
  let upTo = 0;
  let prefix = 0;
  for (let level = 0; level < count; level++) {
    upTo = (upTo | 1 << level) >>> 0;
    while (((levels[prefix] ?? 0) & upTo) !== 0) prefix++;
    prefixes.push(prefix);
  }
  return prefixes;
}

/** Publishes the outcome of one request about many keys. */
export function publishLookup(
  publish: Publish<EventMap>,
  { keys: [first], held: { levels, prefixes, refused }, unknownKeys, tokensPerKey }: Found & {
    readonly keys: readonly ObjectKey[];
    readonly tokensPerKey: number;
  },
): void {
  let l1Keys = 0;
  let l2Keys = 0;
  for (const held of levels) {
    if ((held & L1_BIT) !== 0) l1Keys++;
    else if (held !== 0) l2Keys++;
  }
  const tenant = first?.tenant ?? "";
  const requestId = first?.requestId;
  if (refused.length > 0) publish("sm.lease.refused", { tenant, keys: refused.length, requestId });
  const inL1 = prefixes[0] ?? 0;
  const inAll = prefixes.at(-1) ?? 0;
  publish("sm.keys.looked_up", {
    tenant,
    l1Keys,
    l2Keys,
    missingKeys: levels.length - l1Keys - l2Keys - unknownKeys,
    unknownKeys,
    tokens: levels.length * tokensPerKey,
    l1Tokens: inL1 * tokensPerKey,
    l2Tokens: (inAll - inL1) * tokensPerKey,
    requestId,
  });
}
