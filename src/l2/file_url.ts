import { resolve } from "node:path";
import { VitrineError } from "../core/errors.ts";
import type { L2Adapter } from "./adapter.ts";
import { FileAdapter, openOwnFolder } from "./file.ts";
import { FileStore } from "./file/file_store.ts";
import type { TierContext } from "./kind.ts";
import type { TierUrl } from "./url.ts";

/** Opens `file:///abs`, `file://./rel` or `file:rel`. Parameters: `max` (size limit, default none), `fsync` (on | off, default on). */
export function openFileUrl(url: TierUrl, context: TierContext): L2Adapter {
  const settings = { name: context.name, ...settingsOf(url) };
  if (context.folders === undefined) return openOwnFolder({ ...context, ...settings }).adapter;
  const store = context.folders.store(context.tier, (segment) => adapter.forgetSegment(segment));
  const adapter = new FileAdapter({ ...settings, store });
  return adapter;
}

/** Opens the folder of such a URL as its owner. */
export function openFolder(
  url: TierUrl,
  context: TierContext & { readonly onSegmentDropped: (segment: number) => void },
): FileStore {
  return new FileStore({ ...context, ...settingsOf(url) });
}

function settingsOf(url: TierUrl) {
  if (url.path === "") throw new VitrineError("bad_request", "Reading an L2 URL: file: needs a folder");
  const limitBytes = url.takeBytes("max", 0);
  const sync = url.takeSwitch("fsync", true);
  url.finish();
  return { path: resolve(url.path), limitBytes, sync };
}
