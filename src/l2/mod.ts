import type { Clock } from "../core/clock.ts";
import { VitrineError } from "../core/errors.ts";
import type { ObjectKey } from "../core/key.ts";
import type { Publish } from "../core/publish.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L2Adapter, TierRemovalListener, TierRemovalReason } from "./adapter.ts";
import type { FileStore } from "./file/file_store.ts";
import { openFileUrl, openFolder } from "./file_url.ts";
import type { AdapterKind, FolderOwner } from "./kind.ts";
import { openMemoryUrl } from "./memory.ts";
import { TierUrl } from "./url.ts";

/** Every adapter, by URL scheme. */
export const adapters: ReadonlyMap<string, AdapterKind> = new Map([
  ["file:", { defaultName: "fs", open: openFileUrl }],
  ["memory:", { defaultName: "memory", open: openMemoryUrl }],
]);

/** What all tiers get. */
export interface TiersContext {
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** Told of what leaves the tiers, by the place of the tier. Default: nobody is. */
  readonly onTierRemoved?: (tier: number, key: ObjectKey, reason: TierRemovalReason) => void;
}

/**
 * Opens the tiers in the order of their URLs; `folders` owns those of file tiers if it is not this thread. Throws bad_request for a bad URL, tier_failed if
 * a tier cannot be opened; then none stays open.
 */
export async function openTiers(
  urls: readonly string[],
  context: TiersContext & { readonly folders?: FolderOwner | undefined },
): Promise<readonly L2Adapter[]> {
  const open: L2Adapter[] = [];
  try {
    for (const plan of plans(urls)) {
      open.push(await plan.kind.open(plan.url, { ...contextOf(plan, context), folders: context.folders }));
    }
    return open;
  } catch (error) {
    await Promise.all(open.map((tier) => tier.close()));
    throw error;
  }
}

/** Opens the folders of file tiers, as their owner; undefined in the place of every other tier. Throws like openTiers. */
export async function openFolders(
  urls: readonly string[],
  context: TiersContext & { readonly onSegmentDropped: (tier: number, segment: number) => void },
): Promise<readonly (FileStore | undefined)[]> {
  const open: (FileStore | undefined)[] = [];
  try {
    for (const plan of plans(urls)) {
      const onSegmentDropped = (segment: number): void => context.onSegmentDropped(plan.tier, segment);
      open.push(
        isFolderUrl(plan.url.scheme)
          ? openFolder(plan.url, { ...contextOf(plan, context), onSegmentDropped })
          : undefined,
      );
    }
    return open;
  } catch (error) {
    await Promise.all(open.map((store) => store?.close()));
    throw error;
  }
}

/** Whether a tier's URL names a folder. */
export function isFolderUrl(url: string): boolean {
  return url.startsWith("file:");
}

interface Plan {
  readonly tier: number;
  readonly url: TierUrl;
  readonly kind: AdapterKind;
  readonly name: string;
}

function contextOf({ tier, name }: Plan, { publish, clock, onTierRemoved = () => {} }: TiersContext) {
  const onRemoved: TierRemovalListener = (key, reason) => onTierRemoved(tier, key, reason);
  return { name, tier, publish, clock, onRemoved };
}

function plans(urls: readonly string[]): readonly Plan[] {
  const names = new Set(["l1"]);
  return urls.map((text, tier) => {
    const url = new TierUrl(text);
    const kind = adapters.get(url.scheme);
    if (kind === undefined) {
      throw bad(`unknown scheme: ${url.scheme} (known: ${[...adapters.keys()].join(" ")})`);
    }
    const name = url.take("name") ?? freeName(kind.defaultName, names);
    if (!/^[a-z0-9_-]{1,32}$/.test(name)) throw bad(`name must be 1-32 of a-z 0-9 _ -: ${name}`);
    if (names.has(name)) throw bad(`name is taken: ${name}`);
    names.add(name);
    return { tier, url, kind, name };
  });
}

function freeName(wanted: string, taken: ReadonlySet<string>): string {
  let name = wanted;
  for (let number = 2; taken.has(name); number += 1) name = `${wanted}${number}`;
  return name;
}

function bad(what: string): VitrineError {
  return new VitrineError("bad_request", `Reading an L2 URL: ${what}`);
}
