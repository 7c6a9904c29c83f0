import { VitrineError } from "../../core/errors.ts";
import type { Publish } from "../../core/events.ts";
import type { ObjectKey } from "../../core/object.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { StorageContext } from "../context.ts";
import type { HoldOutcome } from "../../l1/l1.ts";
import type { HeldKeys, Leasing, ManyLookup } from "../storage.ts";
import type { Freshness } from "./freshness.ts";
import type { LoadController } from "./load_controller.ts";
import type { TierReader } from "../tiers/tier_reader.ts";
import { MANY_KEYS } from "../../l2/adapter.ts";
import { peek } from "./memory_read.ts";

/** Keys that L1 is asked about in one critical section. */
const SECTION_KEYS = 512;
/** Calls of one request to a tier at the same time, each about up to MANY_KEYS keys. */
const CALLS = 4;

/** Attempts to lease an object that is evicted or removed as soon as it was found. */
const LEASE_ATTEMPTS = 3;

const L1_BIT = 1;

/** The levels that have the keys, and the number of keys that were not found, of which a tier could not answer. */
interface Found {
  readonly held: HeldKeys;
  readonly unknownKeys: number;
}

/** The levels that have a key. */
export interface Answer {
  readonly levels: number;
  /** True if no level has it, and a tier could not answer. */
  readonly isUnknown: boolean;
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
    readonly freshness: Pick<Freshness, "verifyMany">;
  },
): Promise<Found> {
  const { l1, tiers, timers, clock } = context;
  const levels = new Uint32Array(keys.length);
  const refused: number[] = [];
  const asked: AskedKey[] = [];
  const verifying = freshness.verifyMany(keys);
  if (verifying !== undefined) await verifying;
  for (let start = 0; start < keys.length; start += SECTION_KEYS) {
    if (start > 0) await timers.turn();
    const section = keys.slice(start, start + SECTION_KEYS);
    const outcomes = lookInL1(context, section, leasing);
    for (const [i, key] of section.entries()) {
      const outcome = outcomes[i];
      const index = start + i;
      if (outcome !== "absent") levels[index] = L1_BIT;
      if (outcome === "full") refused.push(index);
      if (allTiers || outcome === "absent") asked.push({ key, index });
    }
  }
  const failed = new Map<string, string>();
  const asking = { allTiers, failed };
  let unknownKeys = 0;
  let isFull = refused.length > 0;
  /** Leases an object that L1 did not have, and loads it first if that is wanted. */
  const lease = async ({ key, index }: AskedKey, first: Answer, { holder, untilMs, loads: isLoaded }: Leasing) => {
    const isWanted = () => !isFull && clock.monotonicMs() < untilMs;
    let answer: Answer | undefined = first;
    let inTiers = 0;
    for (let attempt = 0; attempt < LEASE_ATTEMPTS && answer !== undefined; attempt++) {
      inTiers = (answer.levels & ~L1_BIT) >>> 0;
      if (inTiers === answer.levels) {
        if (inTiers === 0 || !isLoaded) return answer;
        const outcome = await loads.fetch(key, isWanted);
        if (outcome === "unwanted") refused.push(index);
        if (outcome !== "loaded") return answer;
      }
      const [outcome] = l1.hold([key], { holder, untilMs });
      if (outcome !== "absent") {
        if (outcome === "full") refused.push(index);
        isFull ||= outcome === "full";
        return { levels: (answer.levels | L1_BIT) >>> 0, isUnknown: false };
      }
      // It was evicted or removed since it was found.
      [answer] = await askTiersAbout(context, [key], asking);
    }
    return { levels: inTiers, isUnknown: false };
  };
  await inPages(tiers.length === 0 ? [] : asked, async (page) => {
    const answers = await askTiersAbout(context, page.map(({ key }) => key), asking);
    await Promise.all(page.map(async (each, i) => {
      const isHeld = levels[each.index] === L1_BIT;
      const first = answers[i] ?? NOTHING;
      const answer = leasing === undefined || isHeld ? first : await lease(each, first, leasing);
      levels[each.index] = answer.levels | (isHeld ? L1_BIT : 0);
      if (answer.isUnknown && !isHeld) unknownKeys++;
    }));
  });
  refused.sort((one, other) => one - other);
  return { held: { levels, prefixes: prefixesOf(levels, tiers.length + 1), failed, refused }, unknownKeys };
}

/** A key that the tiers are asked about, and its place in the request. */
interface AskedKey {
  readonly key: ObjectKey;
  readonly index: number;
}

const NOTHING: Answer = { levels: 0, isUnknown: false };

/** Calls `each` with pages of at most MANY_KEYS members, in order, and with some of them at the same time. */
async function inPages<T>(members: readonly T[], each: (page: readonly T[]) => Promise<void>): Promise<void> {
  let start = 0;
  const work = async (): Promise<void> => {
    while (start < members.length) {
      const page = members.slice(start, start + MANY_KEYS);
      start += page.length;
      await each(page);
    }
  };
  await Promise.all(Array.from({ length: CALLS }, work));
}

/** What L1 has of some keys, which are leased if they are to be. */
function lookInL1({ l1 }: StorageContext, keys: readonly ObjectKey[], leasing?: Leasing): readonly HoldOutcome[] {
  if (leasing !== undefined) return l1.hold(keys, leasing);
  return l1.has(keys).map((isHeld) => isHeld ? "held" : "absent");
}

/** How the tiers are asked: about all keys or only those not found before, and without those that have failed. */
interface Asking {
  readonly allTiers: boolean;
  /** By the name of a tier, its first error. */
  readonly failed: Map<string, string>;
}

/** The levels that have each of at most MANY_KEYS keys: one call to each tier, unless keys change meanwhile. */
export async function askTiersAbout(
  context: StorageContext,
  keys: readonly ObjectKey[],
  asking: Asking,
): Promise<readonly Answer[]> {
  const answers: Answer[] = keys.map(() => NOTHING);
  let open: readonly AskedKey[] = keys.map((key, index) => ({ key, index }));
  while (open.length > 0) open = await askOnce(context, { ...asking, open, answers });
  return answers;
}

/** Notes the answers, and returns the keys that were changed meanwhile. */
async function askOnce(
  context: StorageContext,
  { open, answers, allTiers, failed }: Asking & {
    readonly open: readonly AskedKey[];
    readonly answers: Answer[];
  },
): Promise<readonly AskedKey[]> {
  const { keyLock, l1, tiers } = context;
  const again: AskedKey[] = [];
  // A dirty object needs no snapshot, which would wait for its store.
  const snapshots = await Promise.all(
    open.map(async ({ key }) => l1.know(key)?.isDirty === true ? undefined : await keyLock.snapshot(key)),
  );
  const questions = open.flatMap((asked, i) => {
    const known = l1.know(asked.key);
    const levels = known?.meta === undefined ? 0 : L1_BIT;
    const snapshot = snapshots[i];
    // The tiers' copies of a dirty object are older than it, also if it has expired.
    if (known?.isDirty === true) answers[asked.index] = { levels, isUnknown: false };
    else if (snapshot === undefined) again.push(asked);
    else return [{ ...asked, snapshot, levels, isUnknown: false }];
    return [];
  });
  for (const tier of tiers) {
    const asked = allTiers ? questions : questions.filter(({ levels }) => levels === 0);
    if (asked.length === 0) break;
    const held = failed.has(tier.name) ? undefined : await answerOf(tier, asked.map(({ key }) => key), failed);
    for (const [i, question] of asked.entries()) {
      if (held === undefined) question.isUnknown = true;
      else if (held[i] === true) question.levels = (question.levels | 2 << tier.index) >>> 0;
    }
  }
  for (const { key, index, snapshot, levels: found, isUnknown } of questions) {
    if (snapshot.hasChanged) {
      again.push({ key, index });
      continue;
    }
    // A load may already have what the tiers have lost, or do not say.
    const levels = found === 0 ? bitOf(context, peek(context, key)?.tier) : found;
    answers[index] = { levels, isUnknown: isUnknown && levels === 0 };
  }
  return again;
}

/** A tier's answer; undefined if it fails, which is noted. */
async function answerOf(
  tier: TierReader,
  keys: readonly ObjectKey[],
  failed: Map<string, string>,
): Promise<readonly boolean[] | undefined> {
  try {
    return await tier.has(keys);
  } catch (error) {
    if (!(error instanceof VitrineError)) throw error;
    if (!failed.has(tier.name)) failed.set(tier.name, error.message);
    return undefined;
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
