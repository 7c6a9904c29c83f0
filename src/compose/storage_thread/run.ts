import { SystemClock } from "../../core/clock.ts";
import { ChannelProducer } from "../../events/channel/channel_producer.ts";
import { noPublish } from "../../events/no_publish.ts";
import type { FromOwner, ToOwner } from "../../l2/file/remote/messages.ts";
import { Board } from "../cluster/board.ts";
import { StoreServer } from "../../l2/file/remote/serve_stores.ts";
import { openFolders } from "../../l2/mod.ts";
import { portOf } from "../../runtime/thread.ts";
import { lossListeners } from "../../storage/loss_listeners.ts";
import { GhostIndex } from "../../storage/shared/ghost_index.ts";
import type { StorageThreadData, ToStorageThread } from "./messages.ts";

/** Milliseconds between two heartbeats of the thread. */
const BEAT_MS = 50;
/** Milliseconds between two looks at the folders: whether they are there, what has expired, what can be compacted. */
const LOOK_MS = 500;
/** Milliseconds that the bus may take to deliver at the end. */
const FLUSH_MS = 5000;

/** The running storage thread. */
export interface RunningStorageThread {
  hear(message: Exclude<ToStorageThread, { readonly kind: "stop" }>): void;
  stop(): Promise<void>;
}

/** Opens the folders of all file tiers and serves them to the workers. Throws VitrineError. */
export async function runStorageThread(data: StorageThreadData): Promise<RunningStorageThread> {
  const { config } = data;
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
  const ghosts = new GhostIndex(data.sharedKeys);
  let opened: StoreServer | undefined;
  const stores = await openFolders(config.l2, {
    publish,
    clock,
    onTierRemoved: lossListeners(ghosts, clock).tier,
    // Segments are dropped while the folders are being opened, too.
    onSegmentDropped: (tier, segment) => opened?.tell({ kind: "dropped", tier, segment }),
    onTrouble: (tier, trouble) => opened?.tell({ kind: "trouble", tier, trouble }),
  });
  const server = new StoreServer(stores);
  opened = server;
  const lines = new Map<number, () => void>();
  const board = new Board(data.board);
  const heart = setInterval(() => board.beatStorage(), BEAT_MS);
  const tidying = setInterval(() => {
    for (const store of stores) store?.look();
  }, LOOK_MS);
  return {
    hear(message) {
      lines.get(message.holder)?.();
      lines.delete(message.holder);
      if (message.kind === "connect") {
        lines.set(message.holder, server.attach(portOf<FromOwner, ToOwner>(message.port)));
      }
    },
    async stop() {
      clearInterval(tidying);
      await Promise.all(stores.map((store) => store?.close()));
      await producer.stop({ deadlineMs: FLUSH_MS });
      clearInterval(heart);
    },
  };
}
