import process from "node:process";
import { parentPort, workerData } from "node:worker_threads";
import { causeText } from "../../core/errors.ts";
import { ownThreadId, portOf } from "../../runtime/thread.ts";
import { reportError } from "../report_error.ts";
import { Board } from "./board.ts";
import type { FromWorker, Stopped, ToWorker, WorkerData } from "./worker_messages.ts";
import { Access } from "../../access/access.ts";
import { FailureTable } from "../../access/failure_table.ts";
import type { TokenEntry } from "../../access/token_entry.ts";
import { SystemClock } from "../../core/clock.ts";
import { noPublish, openProducer } from "../../events/producer.ts";
import { currentRuntime } from "../../runtime/mod.ts";
import { areShared } from "../../l2/mod.ts";
import type { FromOwner as FromTierOwner, ToOwner as ToTierOwner } from "../../storage/changes/messages.ts";
import { RemoteChanges } from "../../storage/changes/remote_changes.ts";
import { lossListeners } from "../../storage/loss_listeners.ts";
import { SharedKeys } from "../../storage/shared/shared_keys.ts";
import type { StorageManager } from "../../storage/storage_manager.ts";
import { composeServerThread, requestTracerOf, unready } from "../server_thread.ts";
import { openL1 } from "../tiers.ts";
import { every } from "../../core/timers.ts";
import { TICK_MS } from "../telemetry.ts";
import type { StorageLines } from "../storage_thread/messages.ts";
import { relayed } from "./relay.ts";
import { TierReporter } from "./storage_reports.ts";
import { shareRuns } from "../../core/coalesce.ts";
import { type FromOwner, OwnerLine, type ToOwner } from "../../l2/file/folder_line.ts";
/** Interval of a worker's heartbeat. */
const BEAT_MS = 50;
/** Interval of its reports on its own tiers. */
const REPORT_MS = 200;
/** The part of a stop's time for running requests; the rest is for queued stores. */
const REQUESTS_SHARE = 2 / 3;

/** A worker that serves. */
interface RunningWorker {
  readonly tiers: readonly string[];
  /** Connects to the storage thread. */
  connectStorage(lines: StorageLines): void;
  replaceTokens(tokens: readonly TokenEntry[]): void;
  /** Finishes running requests, or aborts them when two thirds of the time for a stop are over. */
  stop(): Promise<Stopped>;
}

/** Starts this thread's part of a cluster. Throws VitrineError if a tier cannot be opened. */
async function runWorker(
  data: WorkerData,
  reportError: (error: unknown) => void,
): Promise<RunningWorker> {
  const { config, seat, version } = data;
  const clock = new SystemClock(data.clock);
  const runtime = currentRuntime();
  const board = new Board(data.board);
  const producer = openProducer(data.events, { clock });
  const publish = config.observability ? producer.publish : noPublish;
  const main = relayed(data.relay);
  const shared = new SharedKeys(data.sharedKeys, seat.holder);
  const losses = lossListeners(shared.ghosts, clock);
  const l1 = openL1(data.arena, { config, holder: seat.holder, clock, publish, onRemoved: losses.l1 });
  const isOwnedElsewhere = areShared(config.l2);
  const line = new OwnerLine();
  const changes = new RemoteChanges({ l1, shared, clock, publish, timeoutMs: config.l2TimeoutMs, every });
  const connect = (lines: StorageLines): void => {
    line.connect(portOf<ToOwner, FromOwner>(lines.folders));
    changes.connect(portOf<readonly ToTierOwner[], readonly FromTierOwner[]>(lines.changes));
  };
  if (data.storageLines !== undefined) connect(data.storageLines);
  const access = new Access(data.access.tokens, new FailureTable(data.access.failures, clock));
  const serving = await composeServerThread({
    config,
    access,
    version,
    runtime,
    clock,
    publish,
    l1,
    shared,
    onTierRemoved: losses.tier,
    storageThread: isOwnedElsewhere ? { changes, line } : undefined,
    status: shareRuns(main.status),
    metricsText: shareRuns(main.metrics),
    follow: requestTracerOf(config, data.env),
    events: main.events,
    unready: (hasTrouble) => unready({ isServing: board.isReady, storageOutage: board.storageOutage, hasTrouble }),
    onActiveRequests: (count) => board.setActiveRequests(seat.place, count),
    reportError,
  });
  board.serves();
  const listener = serving.listen({ port: data.port, reusePort: true });
  const heart = setInterval(() => {
    board.beat(seat.place);
    board.setTrouble(seat.place, serving.storage.trouble !== undefined);
    board.setLoadsInFlight(seat.place, serving.storage.loadsInFlight);
    // Not in main, which takes L1's lock from dead threads and therefore must not wait for it.
    if (board.claimTick(clock.monotonicMs(), TICK_MS)) l1.tick();
  }, BEAT_MS);
  let reporting: ReturnType<typeof setInterval> | undefined;
  if (data.reports !== undefined && serving.storage.tiers.length > 1) {
    const report = shareRuns(reportOf(serving.storage, new TierReporter(data.reports, clock)));
    reporting = setInterval(() => void report(), REPORT_MS);
  }
  return {
    tiers: serving.storage.tiers,
    connectStorage: connect,
    replaceTokens: (tokens) => access.replace(tokens),
    async stop() {
      const before = serving.storage.storeTotals;
      const cutRequests = await listener.stop({ patienceMs: config.shutdownTimeoutMs * REQUESTS_SHARE });
      let failure: string | undefined;
      try {
        await serving.storage.drain();
      } catch (error) {
        failure = causeText(error);
      }
      line.close();
      changes.disconnect();
      producer.stop();
      clearInterval(reporting);
      clearInterval(heart);
      const { stored, refused } = serving.storage.storeTotals;
      return {
        kind: "stopped",
        stored: stored - before.stored,
        refused: refused - before.refused,
        cutRequests,
        ...(failure === undefined ? {} : { failure }),
      };
    },
  };
}

/** Reports on the tiers of a storage manager. */
function reportOf(storage: Pick<StorageManager, "status">, reporter: TierReporter): () => Promise<void> {
  return async () => reporter.report((await storage.status()).l2);
}

/** The entry of a worker's thread. */
const port = parentPort;
if (port === null) throw new Error("run as a worker: this is the main thread");
const data: WorkerData = workerData;
new Board(data.board).setThreadId(data.seat.place, ownThreadId());
const say = (message: FromWorker) => port.postMessage(message);

try {
  const worker = await runWorker(data, reportError);
  port.on("message", (message: ToWorker) => {
    if (message.kind === "storage") worker.connectStorage(message.lines);
    else if (message.kind === "tokens") worker.replaceTokens(message.tokens);
    else void worker.stop().then(say);
  });
  say({ kind: "ready", tiers: worker.tiers });
} catch (error) {
  say({ kind: "failed", message: causeText(error) });
  process.exitCode = 1;
}
