import type { MessagePort } from "node:worker_threads";
import type { Config } from "../../config.ts";
import { type Clock, SystemClock } from "../../core/clock.ts";
import type { Publish } from "../../core/events.ts";
import type { EventMap } from "../../events/catalogue.ts";
import { noPublish, openProducer } from "../../events/producer.ts";
import type { L2Adapter } from "../../l2/adapter.ts";
import type { FolderKeeper } from "../../l2/file/folder_keeper.ts";
import { FolderServer, type ServedFolder } from "../../l2/file/line/folder_server.ts";
import type { FromOwner, ToOwner } from "../../l2/file/line/messages.ts";
import type { FolderOwner } from "../../l2/url.ts";
import { openFolders, openFolderTiers } from "../../l2/mod.ts";
import { portOf } from "../../runtime/thread.ts";
import { RemovalHistory, type RemovalListeners, removalListeners } from "../../storage/shared/removal_history.ts";
import { ThreadScrubber } from "../tiers.ts";
import { BEAT_MS, Board } from "./board.ts";
import type { FileThreadData, RunningThread } from "./messages.ts";
import { changesUsage, TierReporter, UsageReports } from "./storage_reports.ts";

/** Milliseconds between two checks of the folders. */
export const FOLDER_CHECK_MS = 500;

/**
 * Opens the folders of all file tiers, and makes the changes that the owner of the tiers asks for: apart from its
 * thread, which network tiers need. Throws VitrineError.
 */
export async function runFileThread(data: FileThreadData): Promise<RunningThread> {
  const { config } = data;
  const clock = new SystemClock(data.clock);
  const producer = openProducer(data.events, { clock });
  const publishToBus = config.observability ? producer.publish : noPublish;
  const later: { reports?: UsageReports } = {};
  const publish: Publish<EventMap> = (name, fields) => {
    publishToBus(name, fields);
    if (changesUsage(name)) later.reports?.soon();
  };
  const losses = removalListeners(new RemovalHistory(data.sharedKeys), clock);
  const scrubber = new ThreadScrubber({ config, publish, clock, onTierRemoved: losses.tier });
  const host = await openFolderHost(config, {
    publish,
    clock,
    onTierRemoved: scrubber.onTierRemoved,
    onTrouble: () => void later.reports?.measure(),
    servesChanges: true,
  });
  scrubber.start(host.adapters);
  const reporter = new TierReporter(data.reports, clock);
  const reports = new UsageReports({ reporter, tiers: host.adapters, folders: host.folders });
  await reports.measure();
  later.reports = reports;
  const detach = new Map<number, () => void>();
  const board = new Board(data.board).tierThread("file");
  const heart = setInterval(() => board.beat(), BEAT_MS);
  const tidying = setInterval(() => {
    host.look();
    void reports.measure();
  }, FOLDER_CHECK_MS);
  return {
    hear(message) {
      if (message.kind !== "connect" && message.kind !== "disconnect") return;
      detach.get(message.workerId)?.();
      detach.delete(message.workerId);
      if (message.kind === "connect" && message.lines.folders !== undefined) {
        detach.set(message.workerId, host.attach(message.lines.folders));
      }
    },
    async stop() {
      clearInterval(tidying);
      await scrubber.stop();
      await host.close();
      producer.stop();
      clearInterval(heart);
      return { stored: 0, refused: 0 };
    },
  };
}

/** Options of a FolderHost. */
export interface FolderHostOptions {
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  readonly onTierRemoved: RemovalListeners["tier"];
  /** Called when a folder has become unusable or usable. May be called while the folders are being opened. */
  readonly onTrouble: () => void;
  /** True if another thread owns the tiers, and makes changes over a line. */
  readonly servesChanges: boolean;
}

/** The folders that a thread owns. */
export interface FolderHost {
  /** By the index of the tier; undefined for a tier without a folder. */
  readonly folders: readonly (FolderKeeper | undefined)[];
  /** The adapters over the folders, by the index of the tier, if the host serves changes. */
  readonly adapters: readonly (L2Adapter | undefined)[];
  /** Access for adapters of this thread. */
  readonly owner: FolderOwner;
  /** Serves a thread until the port closes or the returned function is called. */
  attach(port: MessagePort): () => void;
  /** Checks the folders: detects a lost one, removes expired objects and compacts segments. */
  look(): void;
  close(): Promise<void>;
}

/** Opens the folders of all file tiers. Throws VitrineError. */
export async function openFolderHost({ l2 }: Pick<Config, "l2">, options: FolderHostOptions): Promise<FolderHost> {
  const { servesChanges, onTrouble } = options;
  // The folders may call back while they are being opened.
  const later: { server?: FolderServer } = {};
  const onDropped = new Map<number, (segment: number) => void>();
  const folders = await openFolders(l2, {
    ...options,
    onSegmentDropped: (tier, segment) => {
      onDropped.get(tier)?.(segment);
      later.server?.tell({ kind: "dropped", tier, segment });
    },
    onTrouble: (tier, trouble) => {
      later.server?.tell({ kind: "trouble", tier, trouble });
      onTrouble();
    },
  });
  const owner: FolderOwner = {
    store(tier, onDroppedHere) {
      const folder = folders[tier];
      if (folder === undefined) throw new RangeError(`use own folder: none of tier ${tier}`);
      onDropped.set(tier, onDroppedHere);
      return { folder };
    },
  };
  const adapters = servesChanges ? await openFolderTiers(l2, { ...options, folders: owner }) : [];
  const served = folders.map((keeper, tier): ServedFolder | undefined => keeper && { keeper, adapter: adapters[tier] });
  const server = new FolderServer(served);
  later.server = server;
  return {
    folders,
    adapters,
    owner,
    attach: (port) => server.attach(portOf<FromOwner, ToOwner>(port)),
    look() {
      for (const folder of folders) folder?.look();
    },
    async close() {
      await Promise.all([...adapters, ...folders].map(async (each) => await each?.close()));
    },
  };
}
