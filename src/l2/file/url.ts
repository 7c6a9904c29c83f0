import { statfsSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { formatSize } from "../../core/size.ts";
import { badUrl, type TierPlan, TierUrl } from "../url.ts";
import { defaultLimitBytes } from "./store/free_space.ts";

/**
 * Parses `file:///abs`, `file://./rel` or `file:rel`. Parameters: `max` (size limit, default a share of the disk),
 * `fsync` (on | off, default on).
 */
export function planFileUrl(url: TierUrl): TierPlan {
  if (url.path === "") throw badUrl("file: needs a folder");
  // As a URL, file://var/lib would be /lib on the host "var".
  if (url.hasSlashes && !/^(?:\/|\.{1,2}(?:\/|$))/.test(url.path)) {
    const { path } = url;
    throw badUrl(`file: write file:///${path} or file://./${path}, not file://${path}`);
  }
  const limitBytes = url.takeBytes("max");
  const sync = url.takeSwitch("fsync", true);
  url.finish();
  const folder = resolve(url.path);
  const settings = { path: folder, limitBytes, sync };
  return {
    folder,
    // A server without such a tier, and a thread that opens none, do not load it.
    open: async (context) => (await import("./open.ts")).openFolder(settings, context),
    openReader: async (context) => (await import("./open.ts")).openFolderReader(settings, context),
    own: async (context) => (await import("./open.ts")).ownFolder(settings, context),
  };
}

/** A tier's URL as the start line shows it: with the default limit, if a file tier has no `max`. */
export function shownUrl(url: string): string {
  const tier = new TierUrl(url);
  if (tier.scheme !== "file:" || tier.take("max") !== undefined) return url;
  try {
    const { blocks, bsize } = statfsSync(resolve(tier.path));
    return blocks === 0 ? url : `${url} (max=${formatSize(defaultLimitBytes(blocks * bsize))}, 4/5 of the disk)`;
  } catch {
    return url;
  }
}

/**
 * Identifies a folder independently of the path to it, even if it does not exist yet. Symbolic links, bind mounts and
 * different spellings of a path give the same result.
 */
export function folderId(path: string): string {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(folderId(parent), basename(path));
  }
}
