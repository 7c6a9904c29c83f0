import type { L2Adapter, L2Reader } from "../adapter.ts";
import type { TierPlan } from "../url.ts";
import { FileAdapter, FileReader, openOwnFolder } from "./adapter.ts";
import { FolderKeeper } from "./folder_keeper.ts";
import { openStore } from "./store/open_store.ts";

/** The settings of a tier in a folder. */
export interface FolderSettings {
  readonly path: string;
  /** Default: a share of the disk. */
  readonly limitBytes: number | undefined;
  /** False leaves it to the kernel when files reach the disk. */
  readonly sync: boolean;
}

/** Opens the tier for its owner. Throws tier_failed. */
export function openFolder(
  settings: FolderSettings,
  { folders, ...context }: Parameters<TierPlan["open"]>[0],
): L2Adapter {
  if (folders === undefined) return openOwnFolder({ ...context, ...settings }).adapter;
  const folder = folders.store(context.tier, (segment) => adapter.forgetSegment(segment));
  const adapter = new FileAdapter({ ...settings, name: context.name, ...folder });
  return adapter;
}

/** Opens the tier for a thread that only reads. */
export function openFolderReader(
  settings: FolderSettings,
  { line, name, tier }: Parameters<NonNullable<TierPlan["openReader"]>>[0],
): L2Reader {
  const folder = line.reader(tier, (segment) => reader.forgetSegment(segment));
  const reader = new FileReader({ ...settings, name, folder });
  return reader;
}

/** Opens the folder as its owner. Throws tier_failed. */
export function ownFolder(
  settings: FolderSettings,
  context: Parameters<NonNullable<TierPlan["own"]>>[0],
): FolderKeeper {
  return new FolderKeeper({ ...context, open: (mayMake) => openStore({ ...context, ...settings, mayMake }) });
}
