import { existsSync, mkdirSync } from "node:fs";
import type { Publish } from "../../core/publish.ts";
import type { EventMap } from "../../events/catalogue.ts";
import { faultOf } from "./faults.ts";
import { makeFolders, setAside } from "./folders.ts";
import { ObjectIndex } from "./index.ts";
import { Layout } from "./layout.ts";
import { FolderLock } from "./lock.ts";
import { recover, type Recovery, removeSome } from "./recover.ts";
import { Reserve } from "./reserve.ts";
import { isIndexTrusted, markRunning } from "./run_state.ts";

/** On a full disk without a reserve: files removed before a start is tried again, and tries. */
const START_REMOVES = 64;
const START_TRIES = 10;

/** An open folder. */
export interface Parts {
  readonly layout: Layout;
  readonly lock: FolderLock;
  readonly index: ObjectIndex;
  readonly recovery: Recovery;
  readonly reserve: Reserve;
}

/** Which folder to open. */
export interface OpenFolderOptions {
  readonly name: string;
  readonly path: string;
  readonly publish: Publish<EventMap>;
  /** false: the folder must be there (default true: it is made). */
  readonly mayMake?: boolean;
}

/** Opens the folder; on a full disk it gives up the reserve for that, or objects. */
export async function openFolder(options: OpenFolderOptions): Promise<Parts> {
  const layout = new Layout(options.path);
  const reserve = new Reserve(layout.reservePath);
  for (let tries = 0;; tries += 1) {
    try {
      return await openParts(layout, reserve, options.mayMake ?? true);
    } catch (error) {
      if (faultOf(error) !== "full" || tries >= START_TRIES) throw error;
      if (reserve.giveUp()) continue;
      const removed = removeSome(layout, START_REMOVES);
      if (removed.keys > 0) {
        options.publish("l2.removed", { tier: options.name, tenant: "", reason: "capacity", ...removed });
      }
    }
  }
}

async function openParts(layout: Layout, reserve: Reserve, mayMake: boolean): Promise<Parts> {
  if (mayMake) mkdirSync(layout.root, { recursive: true });
  else if (!existsSync(layout.root)) throw new Error(`${layout.root} is not there`);
  for (const path of [layout.lockPath, layout.indexPath, layout.statePath]) setAside(path, "file");
  const lock = await FolderLock.acquire(layout.lockPath);
  try {
    if (!lock.alone) {
      const nothing = { leftovers: 0, adopted: 0, superseded: 0, corrupt: 0, missing: 0 };
      return { layout, lock, index: ObjectIndex.open(layout.indexPath), recovery: nothing, reserve };
    }
    const index = openIndex(layout);
    try {
      markRunning(layout.statePath);
      makeFolders(layout);
      const recovery = await recover(layout, index);
      reserve.fill();
      await lock.share();
      return { layout, lock, index, recovery, reserve };
    } catch (error) {
      index.close();
      throw error;
    }
  } catch (error) {
    lock.abandon();
    throw error;
  }
}

/** The last run's index, or an empty one that recovery fills from the files. */
function openIndex(layout: Layout): ObjectIndex {
  if (!isIndexTrusted(layout.statePath)) return ObjectIndex.create(layout.indexPath);
  try {
    return ObjectIndex.open(layout.indexPath);
  } catch (error) {
    if (faultOf(error) === "full" || faultOf(error) === "busy") throw error;
    return ObjectIndex.create(layout.indexPath);
  }
}
