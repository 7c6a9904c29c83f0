import process from "node:process";
import type { MessagePort } from "node:worker_threads";
import { SystemClock, within } from "../../core/clock.ts";
import { VitrineError } from "../../core/errors.ts";
import type { Publish } from "../../core/events.ts";
import type { EventMap } from "../../events/catalogue.ts";
import { noPublish, openProducer } from "../../events/producer.ts";
import type { L2Reader } from "../../l2/adapter.ts";
import { OwnerLine } from "../../l2/file/line/folder_line.ts";
import type { FromOwner, ToOwner } from "../../l2/file/line/messages.ts";
import { foldersApart } from "../../l2/mod.ts";
import { reportError } from "../../runtime/host.ts";
import { ownThreadId, portOf, startedThread } from "../../runtime/thread.ts";
import { ChangeServer } from "../../storage/changes/change_server.ts";
import type { FromTierOwner, ToTierOwner, TracedWrite } from "../../storage/changes/tier_changes.ts";
import { TierOwner } from "../../storage/changes/tier_owner.ts";
import { openOwnerContext } from "../../storage/context.ts";
import { removalListeners } from "../../storage/shared/removal_history.ts";
import { SharedKeys } from "../../storage/shared/shared_keys.ts";
import { openL1 } from "../l1.ts";
import { composeTiers, storeLimitsOf, ThreadScrubber } from "../tiers.ts";
import { BEAT_MS, Board } from "./board.ts";
import { FOLDER_CHECK_MS, openFolderHost, runFileThread } from "./file_thread.ts";
import type {
  FileThreadData,
  FromTierThread,
  RunningThread,
  StorageThreadData,
  ThreadLines,
  ToTierThread,
} from "./messages.ts";
import { changesUsage, TierReporter, UsageReports } from "./storage_reports.ts";

/** Milliseconds between two measurements of usage if any tier has no local folder. */
const FAR_USAGE_MS = 5000;
/** Milliseconds for which writes gather before a background store. */
const GATHER_MS = 2;
/** Milliseconds for which a start waits for changes of the storage thread before, if calls have no time-out. */
const DEFAULT_PATIENCE_MS = 30_000;

/**
 * Owns the tiers, and the folders of file tiers unless the file thread does. Makes the changes of all threads. Throws
 * VitrineError.
 */
async function runStorageThread(data: StorageThreadData): Promise<RunningThread> {
  const { config, workerId } = data;
  const clock = new SystemClock(data.clock);
  const producer = openProducer(data.events, { clock });
  // The folders may call back while they are being opened.
  const later: { owner?: TierOwner; reports?: UsageReports } = {};
  const publishToBus = config.observability ? producer.publish : noPublish;
  const publish: Publish<EventMap> = (name, fields) => {
    publishToBus(name, fields);
    if (changesUsage(name)) later.reports?.soon();
  };
  const shared = new SharedKeys(data.sharedKeys, workerId);
  const losses = removalListeners(shared.history, clock);
  const l1 = openL1(data.arena, { config, workerId, clock, publish, onRemoved: losses.l1 });
  const onTrouble = (): void => {
    // A folder that comes back may contain other objects.
    later.owner?.learn();
    void later.reports?.measure();
  };
  const isApart = foldersApart(config.l2);
  const board = new Board(data.board);
  const line = new OwnerLine({ onTrouble, outage: () => board.tierThread("file").stuckText });
  const connectFolders = (port: MessagePort): void => line.connect(portOf<ToOwner, FromOwner>(port));
  if (data.folders !== undefined) connectFolders(data.folders);
  const scrubber = new ThreadScrubber({ config, publish, clock, onTierRemoved: losses.tier });
  const listeners = { publish, clock, onTierRemoved: scrubber.onTierRemoved, serverId: shared.serverId };
  const host = data.folders === undefined
    ? await openFolderHost(config, { ...listeners, onTrouble, servesChanges: false })
    : undefined;
  const tiers = await composeTiers(config, { ...listeners, folders: host?.owner ?? line });
  if (host === undefined) await formerChanges(tiers.filter((_, index) => isApart[index]), config.l2TimeoutMs);
  scrubber.start(tiers.map((tier, index) => isApart[index] === true ? undefined : tier));
  const leaseMs = Math.min(config.l1ReadLeaseMs, config.l1WriteLeaseMs);
  const context = openOwnerContext(tiers, { l1, publish, clock, leaseMs, shared });
  const owner = new TierOwner(context, { concurrency: config.storeConcurrency, storeQueue: storeLimitsOf(config) });
  later.owner = owner;
  let waking: ReturnType<typeof setTimeout> | undefined;
  const wake = (traced: TracedWrite | undefined): void => {
    if (traced !== undefined) owner.note(traced);
    // Nothing waits for a background store, so writes gather first. Until the timer fires, no other write needs to wake
    // this thread.
    waking ??= setTimeout(() => {
      waking = undefined;
      owner.wake();
    }, GATHER_MS);
  };
  const folders = host?.folders ?? [];
  const reports = new UsageReports({
    reporter: new TierReporter(data.reports, clock),
    tiers: context.tiers.map((tier, index) => isApart[index] === true ? undefined : tier),
    folders,
  });
  // Tiers reached over a network are measured rarely, and the start does not wait for them.
  const isNear = host !== undefined && folders.every((folder) => folder !== undefined);
  const measured = reports.measure();
  if (isNear) await measured;
  later.reports = reports;
  const detach = new Map<number, () => void>();
  const connect = (worker: number, lines: ThreadLines): void => {
    const detachFolders = lines.folders && host?.attach(lines.folders);
    const changes = lines.changes && new ChangeServer(
      portOf<readonly FromTierOwner[], readonly ToTierOwner[]>(lines.changes),
      { owner, context, wake },
    );
    detach.set(worker, () => {
      detachFolders?.();
      changes?.end();
    });
  };
  const words = board.tierThread("storage");
  const heart = setInterval(() => words.beat(), BEAT_MS);
  const tidying = setInterval(() => host?.look(), FOLDER_CHECK_MS);
  const measuring = setInterval(() => void reports.measure(), isNear ? FOLDER_CHECK_MS : FAR_USAGE_MS);
  let before: TierOwner["totals"] = { stored: 0, refused: 0 };
  return {
    hear(message) {
      if (message.kind === "stopSoon") before = owner.totals;
      else if (message.kind === "folders") connectFolders(message.folders);
      else {
        detach.get(message.workerId)?.();
        detach.delete(message.workerId);
        if (message.kind === "connect") connect(message.workerId, message.lines);
      }
    },
    async stop() {
      clearInterval(tidying);
      clearInterval(measuring);
      clearTimeout(waking);
      await scrubber.stop();
      await owner.end();
      await Promise.all(tiers.map((tier) => tier.close()));
      await host?.close();
      line.close();
      producer.stop();
      clearInterval(heart);
      const { stored, refused } = owner.totals;
      return { stored: stored - before.stored, refused: refused - before.refused };
    },
  };
}

/**
 * Waits until the file thread has made the changes that the storage thread before this one had asked for: it answers no
 * call of this one earlier. A disk that does not respond delays the start by one time-out.
 */
async function formerChanges(tiers: readonly L2Reader[], timeoutMs: number): Promise<void> {
  const asking = Promise.allSettled(tiers.map((tier) => tier.usage()));
  await within(timeoutMs === 0 ? DEFAULT_PATIENCE_MS : timeoutMs, asking);
}

/** Entry point of the storage thread and of the file thread. */
const thread = await startedThread<StorageThreadData | FileThreadData, ToTierThread, FromTierThread>();
const { data } = thread;
new Board(data.board).tierThread(data.name).setThreadId(ownThreadId());

try {
  const tiers = await (data.name === "file" ? runFileThread(data) : runStorageThread(data));
  thread.listen((message) => {
    if (message.kind !== "stop") tiers.hear(message);
    else {
      tiers.stop().then(
        (totals) => thread.post({ kind: "stopped", ...totals }),
        (error: unknown) =>
          thread.post({ kind: "failed", message: error instanceof Error ? error.message : String(error) }),
      );
    }
  });
  thread.post({ kind: "ready" });
} catch (error) {
  if (!(error instanceof VitrineError)) reportError(error);
  thread.post({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
  process.exitCode = 1;
}
