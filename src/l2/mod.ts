import type { Clock } from "../core/clock.ts";
import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L2Adapter, L2Reader, TierRemovalListener, TierRemovalReason } from "./adapter.ts";
import {
  EncodingAdapter,
  EncodingReader,
  type EncodingSettings,
  openEncoding,
  takeEncoding,
} from "./encoding/adapter.ts";
import type { FolderKeeper } from "./file/folder_keeper.ts";
import { folderId } from "./file/url.ts";
import { adapters } from "./schemes.ts";
import { type AdapterKind, badUrl, type FolderLine, type FolderOwner, type TierPlan, TierUrl } from "./url.ts";
import type { ObjectKey } from "../core/object.ts";

/** The context of all tiers. */
export interface TiersContext {
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** Names this server to other servers (default: a random name). */
  readonly serverId?: string;
  /** Called for every object that leaves a tier, with the index of the tier. Default: none. */
  readonly onTierRemoved?: (tier: number, key: ObjectKey, reason: TierRemovalReason) => void;
}

/** Validates the URLs of tiers that `threads` threads will open; opens none. Throws bad_request. */
export function checkTiers(urls: readonly string[], threads: number): void {
  const stores = new Set<string>();
  const plans = planTiers(urls);
  if (plans.length > 0 && !plans.some(({ takesStores }) => takesStores)) {
    throw badUrl("store=off on every tier: one of them must store what is written");
  }
  for (const { kind, scheme, plan } of plans) {
    if (threads > 1 && !kind.isShared) {
      throw badUrl(`${scheme} each worker would have its own: workers must be 1, not ${threads}`);
    }
    if (!kind.isShared && plans.some((other) => other.kind.isShared)) {
      throw badUrl(`${scheme} does not go together with other kinds of tiers`);
    }
    const store = plan.folder === undefined ? plan.storeId : folderId(plan.folder);
    if (store === undefined) continue;
    if (stores.has(store)) {
      throw badUrl(
        plan.folder === undefined
          ? `${scheme} the same tier twice`
          : `${scheme} two tiers in one folder: ${plan.folder}`,
      );
    }
    stores.add(store);
  }
}

/** The folder of the first tier that has one; undefined if none has. */
export function firstFolder(urls: readonly string[]): string | undefined {
  return planTiers(urls).find(({ plan }) => plan.folder !== undefined)?.plan.folder;
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
  return await openAll(planTiers(urls), async ({ plan, name, encoding, missesOnError, takesStores }, tier) => {
    const opened = await openEncoding(encoding);
    const adapter = await plan.open({ ...contextOf({ tier, name }, context), folders });
    return new EncodingAdapter(adapter, opened, { missesOnError, takesStores });
  });
}

/** Opens the tiers for a thread that only reads; `line` connects to the owner of the folders. Throws like openTiers. */
export async function openReaders(
  urls: readonly string[],
  context: TiersContext & { readonly line: FolderLine },
): Promise<readonly L2Reader[]> {
  const { line } = context;
  return await openAll(planTiers(urls), async ({ plan, name, encoding, missesOnError, takesStores }, tier) => {
    const own = contextOf({ tier, name }, context);
    const opened = await openEncoding(encoding);
    return new EncodingReader(await plan.openReader?.({ ...own, line }) ?? await plan.open(own), opened, {
      missesOnError,
      takesStores,
    });
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
      open.push(await plan.own?.({ ...contextOf({ tier, name }, context), onSegmentDropped, onTrouble }));
    }
    return open;
  } catch (error) {
    await Promise.all(open.map(async (store) => await store?.close()));
    throw error;
  }
}

/**
 * Opens the tiers over folders of this thread; the result has undefined for each other tier. Throws like openTiers.
 */
export async function openFolderTiers(
  urls: readonly string[],
  context: TiersContext & { readonly folders: FolderOwner },
): Promise<readonly (L2Adapter | undefined)[]> {
  const { folders } = context;
  return await Promise.all(
    planTiers(urls).map(async ({ plan, name }, tier) =>
      plan.own === undefined ? undefined : await plan.open({ ...contextOf({ tier, name }, context), folders })
    ),
  );
}

/**
 * By tier, true if its folder has a thread of its own. That is so where there are tiers of other kinds besides: a disk
 * that does not respond must not stop what goes over a network.
 */
export function foldersApart(urls: readonly string[]): readonly boolean[] {
  const haveFolder = planTiers(urls).map(({ plan }) => plan.own !== undefined);
  return areShared(urls) && haveFolder.includes(false) ? haveFolder : haveFolder.map(() => false);
}

/** True if there are tiers and all threads share their objects; then one thread owns the tiers. */
export function areShared(urls: readonly string[]): boolean {
  const plans = planTiers(urls);
  return plans.length > 0 && plans.every(({ kind }) => kind.isShared);
}

function contextOf(
  { tier, name }: { readonly tier: number; readonly name: string },
  { publish, clock, serverId = crypto.randomUUID(), onTierRemoved = () => {} }: TiersContext,
) {
  const onRemoved: TierRemovalListener = (key, reason) => onTierRemoved(tier, key, reason);
  return { name, tier, publish, clock, serverId, onRemoved };
}

interface NamedPlan {
  readonly kind: AdapterKind;
  readonly scheme: string;
  readonly name: string;
  readonly plan: TierPlan;
  readonly encoding: EncodingSettings;
  /** As in L2Reader. */
  readonly missesOnError: boolean;
  /** As in L2Reader. */
  readonly takesStores: boolean;
}

function planTiers(urls: readonly string[]): readonly NamedPlan[] {
  const names = new Set(["l1"]);
  return urls.map((text) => {
    const url = new TierUrl(text);
    const { scheme } = url;
    const kind = adapters.get(scheme);
    if (kind === undefined) throw badUrl(`unknown scheme: ${scheme} (known: ${[...adapters.keys()].join(" ")})`);
    const name = url.take("name") ?? freeName(kind.defaultName, names);
    if (!/^[a-z0-9_-]{1,32}$/.test(name)) throw badUrl(`name must be 1-32 of a-z 0-9 _ -: ${name}`);
    if (names.has(name)) throw badUrl(`name is taken: ${name}`);
    names.add(name);
    const encoding = takeEncoding(url);
    const onError = url.take("on_error") ?? "fail";
    if (onError !== "fail" && onError !== "miss") throw badUrl(`${scheme} on_error must be miss or fail: ${onError}`);
    const takesStores = url.takeSwitch("store", true);
    if (kind.isPlain === true && (encoding.compresses || encoding.keyPath !== undefined)) {
      throw badUrl(`${scheme} neither compress nor encrypt: set them on the tiers of that server`);
    }
    return { kind, scheme, name, encoding, missesOnError: onError === "miss", takesStores, plan: kind.plan(url) };
  });
}

function freeName(wanted: string, taken: ReadonlySet<string>): string {
  let name = wanted;
  for (let number = 2; taken.has(name); number += 1) name = `${wanted}${number}`;
  return name;
}
