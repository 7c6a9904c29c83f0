import { readdirSync, unlinkSync } from "node:fs";
import { causeText } from "../../../core/errors.ts";
import { faultOf } from "../disk.ts";
import { fileNames, Layout } from "../layout.ts";
import { FileStore, type FileStoreOptions } from "./file_store.ts";
import { Reserve } from "./free_space.ts";
import { removeIndex } from "./open_index.ts";

/**
 * Opens a folder; if its index is damaged, builds it again from the segments and notes why. Throws tier_failed.
 */
export function openFileStore(options: FileStoreOptions): FileStore {
  try {
    return new FileStore(options);
  } catch (error) {
    if (!isDamage(error)) throw error;
    removeIndex(new Layout(options.path).indexPath);
    const store = new FileStore(options);
    store.indexDamage = damageText(error);
    return store;
  }
}

/** Explains that the index is damaged. */
export function damageText(error: unknown): string {
  return `the index is damaged: ${causeText(error)}`;
}

/** True if the index is damaged, so that nothing that it says can be relied on. */
export function isDamage(error: unknown): boolean {
  return faultOf(error) === "damaged" || (error instanceof Error && error.cause !== undefined && isDamage(error.cause));
}

/** On a full disk without a reserve: files removed before each retry of a start, and the maximum number of retries. */
const START_REMOVES = 64;
const START_TRIES = 10;

/**
 * Opens a folder as its owner. On a full disk it removes the reserve, then objects, until the folder can be opened.
 * Throws tier_failed.
 */
export function openStore(options: FileStoreOptions): FileStore {
  const layout = new Layout(options.path);
  const reserve = new Reserve(layout.reservePath);
  const capacity = { tier: options.name, tenant: "", reason: "capacity" } as const;
  let segments = 0;
  for (let tries = 0;; tries += 1) {
    try {
      const store = openFileStore(options);
      // Only the index knows how many objects were in the removed segments.
      const keys = segments > 0 ? store.recovery.missing : 0;
      if (keys > 0) options.publish("l2.removed", { ...capacity, keys, bytes: 0 });
      return store;
    } catch (error) {
      if (!isFull(error) || tries >= START_TRIES) throw error;
      if (reserve.remove()) continue;
      // Nothing of a folder of 0.1.0 is removed. It is converted once there is room for it.
      if (hasUnlogged(layout)) throw error;
      const keys = removeFiles(layout, START_REMOVES);
      if (keys > 0) options.publish("l2.removed", { ...capacity, keys, bytes: 0 });
      else if (removeOldestSegment(layout)) segments += 1;
      // Without segments the index has no useful content, and a new one is smaller.
      else removeIndex(layout.indexPath);
    }
  }
}

function hasUnlogged(layout: Layout): boolean {
  return layout.folders.some((folder) =>
    fileNames(layout.folderPath(folder)).some((name) => layout.isUnloggedName(name))
  );
}

function isFull(error: unknown): boolean {
  return faultOf(error) === "full" || (error instanceof Error && error.cause !== undefined && isFull(error.cause));
}

/** Removes up to `most` object files; returns their number. */
function removeFiles(layout: Layout, most: number): number {
  let removed = 0;
  for (const folder of layout.folders) {
    for (const name of fileNames(layout.folderPath(folder))) {
      if (removed >= most) return removed;
      if (!layout.isObjectName(name)) continue;
      unlinkSync(layout.objectPath(name));
      removed += 1;
    }
  }
  return removed;
}

/** Returns false if there was none. */
function removeOldestSegment(layout: Layout): boolean {
  const ids = readdirSync(layout.segmentsPath).map((name) => layout.segmentId(name)).filter((id) => id !== undefined);
  if (ids.length === 0) return false;
  unlinkSync(layout.segmentPath(Math.min(...ids)));
  return true;
}
