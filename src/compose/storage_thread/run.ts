import { SystemClock } from "../../core/clock.ts";
import type { Publish } from "../../core/events.ts";
import { shareRuns } from "../../core/coalesce.ts";
import { causeText } from "../../core/errors.ts";
import type { EventMap } from "../../events/catalogue.ts";
import { noPublish, openProducer } from "../../events/producer.ts";
import type { FolderKeeper } from "../../l2/file/folder_keeper.ts";
import type { FromOwner, ToOwner } from "../../l2/file/folder_line.ts";
import { StoreServer } from "../../l2/file/folder_server.ts";
import type { FolderOwner } from "../../l2/kind.ts";
import { openFolders } from "../../l2/mod.ts";
import { portOf } from "../../runtime/thread.ts";
import { ChangeServer } from "../../storage/changes/change_server.ts";
import type { FromOwner as FromTierOwner, ToOwner as ToTierOwner } from "../../storage/changes/messages.ts";
import type { FollowedWrite } from "../../storage/changes/tier_changes.ts";
import { TierOwner } from "../../storage/changes/tier_owner.ts";
import { openOwnerContext } from "../../storage/context.ts";
import { lossListeners } from "../../storage/loss_listeners.ts";
import { SharedKeys } from "../../storage/shared/shared_keys.ts";
import type { Tier } from "../../storage/tiers/tier.ts";
import type { StorageStatus } from "../../storage/storage.ts";
import { Board } from "../cluster/board.ts";
import { composeTiers, openL1, storeLimitsOf } from "../tiers.ts";
import type { StorageLines, StorageThreadData, ToStorageThread } from "./messages.ts";
import { TierReporter } from "../cluster/storage_reports.ts";

/** Milliseconds between two heartbeats of the thread. */
const BEAT_MS = 50;
/**
 * Milliseconds between two checks of the folders, which detect a lost folder, remove expired objects and compact
 * segments.
 */
const LOOK_MS = 500;
/** Milliseconds between two measurements of usage if any tier has no local folder. */
const FAR_USAGE_MS = 5000;
/** Milliseconds for which writes gather before a background store. */
const GATHER_MS = 2;

/** Objects that were stored, and objects that no tier accepted. */
type Totals = TierOwner["totals"];

/** The running storage thread. */
export interface RunningStorageThread {
  hear(message: Exclude<ToStorageThread, { readonly kind: "stop" }>): void;
  /** Stores all dirty objects and closes the tiers; returns the totals since the stop began. */
  stop(): Promise<Totals>;
}

/**
 * Opens the folders of all file tiers and serves them to the workers. Owns the tiers if all threads share the same
 * ones. Throws VitrineError.
 */
export async function runStorageThread(data: StorageThreadData): Promise<RunningStorageThread> {
  const { config, holder } = data;
  const clock = new SystemClock(data.clock);
  const producer = openProducer(data.events, { clock });
  const publishToBus = config.observability ? producer.publish : noPublish;
  const publish: Publish<EventMap> = (name, fields) => {
    publishToBus(name, fields);
    if (name === "l2.committed" || name === "l2.removed" || name === "l2.reclaimed") later.report?.();
  };
  const shared = new SharedKeys(data.sharedKeys, holder);
  const losses = lossListeners(shared.ghosts, clock);
  const l1 = openL1(data.arena, { config, holder, clock, publish, onRemoved: losses.l1 });
  // The folders may call back while they are being opened.
  const later: { server?: StoreServer; owner?: TierOwner; report?: () => void; measure?: () => void } = {};
  const onDropped = new Map<number, (segment: number) => void>();
  const folders = await openFolders(config.l2, {
    publish,
    clock,
    onTierRemoved: losses.tier,
    onSegmentDropped: (tier, segment) => {
      onDropped.get(tier)?.(segment);
      later.server?.tell({ kind: "dropped", tier, segment });
    },
    onTrouble: (tier, trouble) => {
      later.server?.tell({ kind: "trouble", tier, trouble });
      // A folder that comes back may contain other objects.
      later.owner?.learn();
      later.measure?.();
    },
  });
  const server = new StoreServer(folders);
  later.server = server;
  const tiers = await composeTiers(config, {
    publish,
    clock,
    onTierRemoved: losses.tier,
    folders: ownerOf(folders, onDropped),
  });
  const leaseMs = Math.min(config.l1ReadLeaseMs, config.l1WriteLeaseMs);
  const context = openOwnerContext(tiers, { l1, publish, clock, leaseMs, shared });
  const owner = new TierOwner(context, { concurrency: config.storeConcurrency, storeQueue: storeLimitsOf(config) });
  later.owner = owner;
  let waking: ReturnType<typeof setTimeout> | undefined;
  const wake = (followed: FollowedWrite | undefined): void => {
    if (followed !== undefined) owner.note(followed);
    // Nothing waits for a background store, so writes gather first. Until the timer fires, no other write needs to wake
    // this thread.
    waking ??= setTimeout(() => {
      waking = undefined;
      owner.wake();
    }, GATHER_MS);
  };
  const reporter = new TierReporter(data.reports, clock);
  let usages: StorageStatus["l2"] = [];
  const report = (): void => reporter.report(usages.map((usage, tier) => ({ ...usage, ...folders[tier]?.totals })));
  const measure = shareRuns(async (): Promise<void> => {
    usages = await Promise.all(context.tiers.map(usageOf));
    report();
  });
  // Tiers reached over a network are measured rarely, and the start does not wait for them.
  const isNear = folders.every((folder) => folder !== undefined);
  const measured = measure();
  if (isNear) await measured;
  later.report = oncePerTurn(report);
  later.measure = () => void measure();
  const detach = new Map<number, () => void>();
  const connect = (worker: number, lines: StorageLines): void => {
    const detachFolders = server.attach(portOf<FromOwner, ToOwner>(lines.folders));
    const port = portOf<readonly FromTierOwner[], readonly ToTierOwner[]>(lines.changes);
    const changes = new ChangeServer(port, { owner, context, wake });
    detach.set(worker, () => {
      detachFolders();
      changes.end();
    });
  };
  const board = new Board(data.board);
  const heart = setInterval(() => board.beatStorage(), BEAT_MS);
  const tidying = setInterval(() => {
    for (const folder of folders) folder?.look();
  }, LOOK_MS);
  const measuring = setInterval(() => void measure(), isNear ? LOOK_MS : FAR_USAGE_MS);
  let before: Totals = { stored: 0, refused: 0 };
  return {
    hear(message) {
      if (message.kind === "stopSoon") {
        before = owner.totals;
        return;
      }
      detach.get(message.holder)?.();
      detach.delete(message.holder);
      if (message.kind === "connect") connect(message.holder, message.lines);
    },
    async stop() {
      clearInterval(tidying);
      clearInterval(measuring);
      clearTimeout(waking);
      await owner.end();
      await Promise.all([...tiers, ...folders.filter((folder) => folder !== undefined)].map((each) => each.close()));
      producer.stop();
      clearInterval(heart);
      const { stored, refused } = owner.totals;
      return { stored: stored - before.stored, refused: refused - before.refused };
    },
  };
}

/** Gives this thread's tiers direct access to its folders. */
function ownerOf(
  folders: readonly (FolderKeeper | undefined)[],
  listeners: Map<number, (segment: number) => void>,
): FolderOwner {
  return {
    store(tier, onDropped) {
      const folder = folders[tier];
      if (folder === undefined) throw new RangeError(`use own folder: none of tier ${tier}`);
      listeners.set(tier, onDropped);
      return folder;
    },
  };
}

/** Returns a function that schedules one run of `run` in a microtask, however often it is called until then. */
function oncePerTurn(run: () => void): () => void {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    queueMicrotask(() => {
      isDue = false;
      run();
    });
  };
}

/** The usage of a tier, or the error if it cannot be measured. */
async function usageOf(tier: Pick<Tier, "name" | "usage">): Promise<StorageStatus["l2"][number]> {
  try {
    return { tier: tier.name, ...await tier.usage() };
  } catch (error) {
    return { tier: tier.name, error: causeText(error) };
  }
}
