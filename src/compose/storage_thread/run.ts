import type { MessagePort } from "node:worker_threads";
import { SystemClock } from "../../core/clock.ts";
import { ChannelProducer } from "../../events/channel/channel_producer.ts";
import { noPublish } from "../../events/no_publish.ts";
import type { FolderKeeper } from "../../l2/file/folder_keeper.ts";
import type { FromOwner, ToOwner } from "../../l2/file/remote/messages.ts";
import { StoreServer } from "../../l2/file/remote/serve_stores.ts";
import type { FolderOwner } from "../../l2/kind.ts";
import { areShared, openFolders } from "../../l2/mod.ts";
import { portOf } from "../../runtime/thread.ts";
import { openContext } from "../../storage/context.ts";
import { lossListeners } from "../../storage/loss_listeners.ts";
import type { ToStorer } from "../../storage/remote_storing.ts";
import { SharedKeys } from "../../storage/shared/shared_keys.ts";
import { learnKeys } from "../../storage/tiers/learn_keys.ts";
import { StoreController } from "../../storage/write/store_controller.ts";
import { Board } from "../cluster/board.ts";
import { openL1 } from "../l1.ts";
import { composeTiers } from "../tiers.ts";
import type { StorageThreadData, ToStorageThread } from "./messages.ts";

/** Milliseconds between two heartbeats of the thread. */
const BEAT_MS = 50;
/** Milliseconds between two looks at the folders: whether they are there, what has expired, what can be compacted. */
const LOOK_MS = 500;
/** Milliseconds that the bus may take to deliver at the end. */
const FLUSH_MS = 5000;
/** How long it lets writes gather that are to be stored behind. */
const GATHER_MS = 2;

/** What was stored, and what no tier took. */
type Totals = StoreController["totals"];

/** The running storage thread. */
export interface RunningStorageThread {
  hear(message: Exclude<ToStorageThread, { readonly kind: "stop" }>): void;
  /** Stores what is unsaved and closes the tiers; tells what was stored since the stop began. */
  stop(): Promise<Totals>;
}

/**
 * Opens the folders of all file tiers and serves them to the workers; stores, if all threads have the same tiers, what
 * L1 holds. Throws VitrineError.
 */
export async function runStorageThread(data: StorageThreadData): Promise<RunningStorageThread> {
  const { config, seat } = data;
  const clock = new SystemClock(data.clock);
  const producer = new ChannelProducer({
    channelName: data.channelName,
    id: data.producer,
    countersRow: data.countersRow,
    queueSize: config.eventQueueEntries,
    clock,
    answers: {},
  });
  const publish = config.observability ? producer.publish : noPublish;
  // Its predecessors have ended, but one that was told to may come this far on Deno. Later ones have lower numbers.
  const shared = new SharedKeys(data.sharedKeys, seat, (other) => other > seat.holder);
  const losses = lossListeners(shared.ghosts, clock);
  const l1 = openL1(data.arena, { config, holder: seat.holder, clock, publish, onRemoved: losses.l1 });
  // The folders call back while they are being opened, too.
  const later: { server?: StoreServer; learn?: () => void } = {};
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
      // A folder that comes back may hold other objects.
      later.learn?.();
    },
  });
  const server = new StoreServer(folders);
  later.server = server;
  const tiers = areShared(config.l2)
    ? await composeTiers(config, { publish, clock, onTierRemoved: losses.tier, folders: ownerOf(folders, onDropped) })
    : [];
  const leaseMs = Math.min(config.l1ReadLeaseMs, config.l1WriteLeaseMs);
  const context = openContext({ l1, tiers, publish, clock, leaseMs, shared });
  const stores = new StoreController(context, { concurrency: config.storeConcurrency });
  const look = (): void => {
    shared.heardWake();
    if (tiers.length > 0) stores.wake();
  };
  let looking: ReturnType<typeof setTimeout> | undefined;
  const wake = ({ followed }: ToStorer): void => {
    if (followed !== undefined) stores.note(followed);
    // Nobody waits for the store. Until the look no other write needs to wake this thread.
    looking ??= setTimeout(() => {
      looking = undefined;
      look();
    }, GATHER_MS);
  };
  let lessons = 0;
  later.learn = (): void => {
    shared.knowsAllKeys = false;
    lessons += 1;
    const lesson = lessons;
    void learnKeys(context, () => lesson !== lessons);
  };
  later.learn();
  // What an earlier storage thread was told.
  look();
  const detach = new Map<number, () => void>();
  const connect = (holder: number, lines: { readonly folders: MessagePort; readonly storing: MessagePort }): void => {
    const storing = portOf<never, ToStorer>(lines.storing);
    storing.listen(wake, () => {});
    const detachFolders = server.attach(portOf<FromOwner, ToOwner>(lines.folders));
    detach.set(holder, () => {
      storing.close();
      detachFolders();
    });
  };
  const board = new Board(data.board);
  const heart = setInterval(() => board.beatStorage(), BEAT_MS);
  const tidying = setInterval(() => {
    for (const folder of folders) folder?.look();
  }, LOOK_MS);
  let before: Totals = { stored: 0, refused: 0 };
  return {
    hear(message) {
      if (message.kind === "stopSoon") {
        before = stores.totals;
        return;
      }
      detach.get(message.holder)?.();
      detach.delete(message.holder);
      if (message.kind === "connect") connect(message.holder, message.lines);
    },
    async stop() {
      clearInterval(tidying);
      clearTimeout(looking);
      if (tiers.length > 0) await stores.end();
      await Promise.all([...tiers, ...folders.filter((folder) => folder !== undefined)].map((each) => each.close()));
      await producer.stop({ deadlineMs: FLUSH_MS });
      clearInterval(heart);
      const { stored, refused } = stores.totals;
      return { stored: stored - before.stored, refused: refused - before.refused };
    },
  };
}

/** The folders of this thread for its own tiers. */
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
