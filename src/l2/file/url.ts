import { resolve } from "node:path";
import { VitrineError } from "../../core/errors.ts";
import type { L2Adapter } from "../adapter.ts";
import { FileAdapter, openOwnFolder } from "./adapter.ts";
import { FileReader } from "./file_reader.ts";
import { FolderKeeper } from "./folder_keeper.ts";
import { openStore } from "./store/open_store.ts";
import type { FolderOwner, TierContext, TierPlan } from "../kind.ts";
import type { TierUrl } from "../url.ts";

/**
 * Parses `file:///abs`, `file://./rel` or `file:rel`. Parameters: `max` (size limit, default a share of the disk),
 * `fsync` (on | off, default on).
 */
export function planFileUrl(url: TierUrl): TierPlan {
  if (url.path === "") throw new VitrineError("bad_request", "read L2 URL: file: needs a folder");
  const limitBytes = url.takeBytes("max");
  const sync = url.takeSwitch("fsync", true);
  url.finish();
  const folder = resolve(url.path);
  const settings = { path: folder, limitBytes, sync };
  return {
    folder,
    open: ({ folders, ...context }) => Promise.resolve().then(() => openFolder(settings, context, folders)),
    openReader: ({ line, name, tier }) => {
      const folder = line.reader(tier, (segment) => reader.forgetSegment(segment));
      const reader = new FileReader({ ...settings, name, folder });
      return reader;
    },
    own: (context) =>
      new FolderKeeper({ ...context, open: (mayMake) => openStore({ ...context, ...settings, mayMake }) }),
  };
}

function openFolder(
  settings: { readonly path: string; readonly limitBytes: number | undefined; readonly sync: boolean },
  context: TierContext,
  folders: FolderOwner | undefined,
): L2Adapter {
  if (folders === undefined) return openOwnFolder({ ...context, ...settings }).adapter;
  const folder = folders.store(context.tier, (segment) => adapter.forgetSegment(segment));
  const adapter = new FileAdapter({ ...settings, name: context.name, folder });
  return adapter;
}
