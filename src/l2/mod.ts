import type { Clock } from "../core/clock.ts";
import { VitrineError } from "../core/errors.ts";
import type { ObjectKey } from "../core/key.ts";
import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L2Adapter, L2Reader, TierRemovalListener, TierRemovalReason } from "./adapter.ts";
import type { FolderKeeper } from "./file/folder_keeper.ts";
import { planFileUrl } from "./file/url.ts";
import type { AdapterKind, FolderLine, FolderOwner, TierPlan } from "./kind.ts";
import { planMemoryUrl } from "./memory.ts";
import { placeOf } from "./place.ts";
import { redisKinds } from "./redis/mod.ts";
import { TierUrl } from "./url.ts";

/** All kinds of adapters, by URL scheme. */
export const adapters: ReadonlyMap<string, AdapterKind> = new Map([
  ["file:", { defaultName: "fs", isShared: true, plan: planFileUrl }],
  ["memory:", { defaultName: "memory", isShared: false, plan: planMemoryUrl }],
  ...redisKinds,
]);

/** The context of all tiers. */
export interface TiersContext {
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** Called for every object that leaves a tier, with the index of the tier. Default: none. */
  readonly onTierRemoved?: (tier: number, key: ObjectKey, reason: TierRemovalReason) => void;
}

/** Validates the URLs of tiers that `threads` threads will open; opens none. Throws bad_request. */
export function checkTiers(urls: readonly string[], threads: number): void {
  const places = new Set<string>();
  const plans = planTiers(urls);
  for (const { kind, scheme, plan } of plans) {
    if (threads > 1 && !kind.isShared) {
      throw bad(`${scheme} each worker would have its own: workers must be 1, not ${threads}`);
    }
    if (!kind.isShared && plans.some((other) => other.kind.isShared)) {
      throw bad(`${scheme} does not go together with other kinds of tiers`);
    }
    const place = plan.folder === undefined ? plan.place : placeOf(plan.folder);
    if (place === undefined) continue;
    if (places.has(place)) {
      throw bad(
        plan.folder === undefined
          ? `${scheme} the same tier twice`
          : `${scheme} two tiers in one folder: ${plan.folder}`,
      );
    }
    places.add(place);
  }
}

/**
 * Opens the tiers for their owner, in the order of their URLs. Throws bad_request for a bad URL, and tier_failed if a
 * tier cannot be opened; then none stays open.
 */
export async function openTiers(
  urls: readonly string[],
  context: TiersContext & { readonly folders?: FolderOwner | undefined },
): Promise<readonly L2Adapter[]> {
  const { folders } = context;
  return await openAll(
    planTiers(urls),
    ({ plan, name }, tier) => plan.open({ ...contextOf({ tier, name }, context), folders }),
  );
}

/** Opens the tiers for a thread that only reads; `line` connects to the owner of the folders. Throws like openTiers. */
export async function openReaders(
  urls: readonly string[],
  context: TiersContext & { readonly line: FolderLine },
): Promise<readonly L2Reader[]> {
  const { line } = context;
  return await openAll(planTiers(urls), async ({ plan, name }, tier) => {
    const own = contextOf({ tier, name }, context);
    return plan.openReader?.({ ...own, line }) ?? await plan.open(own);
  });
}

async function openAll<T extends L2Reader>(
  plans: readonly NamedPlan[],
  openOne: (plan: NamedPlan, tier: number) => Promise<T>,
): Promise<readonly T[]> {
  const open: T[] = [];
  try {
    for (const [tier, plan] of plans.entries()) open.push(await openOne(plan, tier));
    return open;
  } catch (error) {
    await Promise.all(open.map((tier) => tier.close()));
    throw error;
  }
}

/**
 * Opens the tiers' folders as their owner; the result has undefined for each tier without a folder. Throws like
 * openTiers.
 */
export async function openFolders(
  urls: readonly string[],
  context: TiersContext & {
    readonly onSegmentDropped: (tier: number, segment: number) => void;
    readonly onTrouble: (tier: number, trouble: string | undefined) => void;
  },
): Promise<readonly (FolderKeeper | undefined)[]> {
  const open: (FolderKeeper | undefined)[] = [];
  try {
    for (const [tier, { plan, name }] of planTiers(urls).entries()) {
      const onSegmentDropped = (segment: number): void => context.onSegmentDropped(tier, segment);
      const onTrouble = (trouble: string | undefined): void => context.onTrouble(tier, trouble);
      open.push(plan.own?.({ ...contextOf({ tier, name }, context), onSegmentDropped, onTrouble }));
    }
    return open;
  } catch (error) {
    await Promise.all(open.map(async (store) => await store?.close()));
    throw error;
  }
}

/** True if there are tiers and all threads share their objects; then one thread owns the tiers. */
export function areShared(urls: readonly string[]): boolean {
  const plans = planTiers(urls);
  return plans.length > 0 && plans.every(({ kind }) => kind.isShared);
}

function contextOf(
  { tier, name }: { readonly tier: number; readonly name: string },
  { publish, clock, onTierRemoved = () => {} }: TiersContext,
) {
  const onRemoved: TierRemovalListener = (key, reason) => onTierRemoved(tier, key, reason);
  return { name, tier, publish, clock, onRemoved };
}

interface NamedPlan {
  readonly kind: AdapterKind;
  readonly scheme: string;
  readonly name: string;
  readonly plan: TierPlan;
}

function planTiers(urls: readonly string[]): readonly NamedPlan[] {
  const names = new Set(["l1"]);
  return urls.map((text) => {
    const url = new TierUrl(text);
    const { scheme } = url;
    const kind = adapters.get(scheme);
    if (kind === undefined) throw bad(`unknown scheme: ${scheme} (known: ${[...adapters.keys()].join(" ")})`);
    const name = url.take("name") ?? freeName(kind.defaultName, names);
    if (!/^[a-z0-9_-]{1,32}$/.test(name)) throw bad(`name must be 1-32 of a-z 0-9 _ -: ${name}`);
    if (names.has(name)) throw bad(`name is taken: ${name}`);
    names.add(name);
    return { kind, scheme, name, plan: kind.plan(url) };
  });
}

function freeName(wanted: string, taken: ReadonlySet<string>): string {
  let name = wanted;
  for (let number = 2; taken.has(name); number += 1) name = `${wanted}${number}`;
  return name;
}

function bad(what: string): VitrineError {
  return new VitrineError("bad_request", `read L2 URL: ${what}`);
}
