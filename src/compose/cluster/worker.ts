import process from "node:process";
import { Access } from "../../access/access.ts";
import { FailureTable } from "../../access/failure_table.ts";
import type { TokenEntry } from "../../access/tokens.ts";
import { every, SystemClock } from "../../core/clock.ts";
import { shareRuns } from "../../core/coalesce.ts";
import { causeText } from "../../core/errors.ts";
import { noPublish, openProducer } from "../../events/producer.ts";
import { OwnerLine } from "../../l2/file/line/folder_line.ts";
import type { FromOwner, ToOwner } from "../../l2/file/line/messages.ts";
import { areShared } from "../../l2/mod.ts";
import { reportError } from "../../runtime/host.ts";
import { currentRuntime } from "../../runtime/mod.ts";
import type { Certificate } from "../../runtime/runtime.ts";
import { ownThreadId, portOf, startedThread } from "../../runtime/thread.ts";
import { RemoteChanges } from "../../storage/changes/remote_changes.ts";
import type { FromTierOwner, ToTierOwner } from "../../storage/changes/tier_changes.ts";
import { removalListeners } from "../../storage/shared/removal_history.ts";
import { SharedKeys } from "../../storage/shared/shared_keys.ts";
import type { StorageManager } from "../../storage/storage_manager.ts";
import { openJwt, openLimits } from "../access.ts";
import { RenewableListener } from "../certificate.ts";
import { unready } from "../server.ts";
import { composeServerThread, requestTracerOf } from "../server_thread.ts";
import { openL1, TICK_MS } from "../l1.ts";
import { BEAT_MS, Board } from "./board.ts";
import type { FromWorker, Stopped, ThreadLines, ToWorker, WorkerData } from "./messages.ts";
import { relayed } from "./relay.ts";
import { TierReporter } from "./storage_reports.ts";

/** Interval of its reports on its own tiers. */
const REPORT_MS = 200;
/** The part of a stop's time for running requests; the rest is for queued stores. */
const REQUESTS_SHARE = 2 / 3;

/** A worker that serves. */
interface RunningWorker {
  readonly tiers: readonly string[];
  /** Connects to the storage thread or to the file thread. */
  connect(lines: ThreadLines): void;
  replaceTokens(tokens: readonly TokenEntry[]): void;
  renewCertificate(certificate: Certificate): void;
  /** Finishes running requests, or aborts them when two thirds of the time for a stop are over. */
  stop(): Promise<Stopped>;
}

/** Starts this thread's part of a cluster. Throws VitrineError if a tier cannot be opened. */
async function runWorker(
  data: WorkerData,
  reportError: (error: unknown) => void,
): Promise<RunningWorker> {
  const { config, worker, version } = data;
  const clock = new SystemClock(data.clock);
  const runtime = currentRuntime();
  const board = new Board(data.board);
  const producer = openProducer(data.events, { clock });
  const publish = config.observability ? producer.publish : noPublish;
  const main = relayed(data.relay);
  const shared = new SharedKeys(data.sharedKeys, worker.workerId);
  const losses = removalListeners(shared.history, clock);
  const l1 = openL1(data.arena, { config, workerId: worker.workerId, clock, publish, onRemoved: losses.l1 });
  const isOwnedElsewhere = areShared(config.l2);
  const line = new OwnerLine({ outage: () => board.tierThread("file").stuckText });
  const changes = new RemoteChanges({ l1, shared, clock, publish, timeoutMs: config.l2TimeoutMs, every });
  const connect = ({ folders, changes: changesPort }: ThreadLines): void => {
    if (folders !== undefined) line.connect(portOf<ToOwner, FromOwner>(folders));
    if (changesPort === undefined) return;
    changes.connect(portOf<readonly ToTierOwner[], readonly FromTierOwner[]>(changesPort));
  };
  connect(data.lines);
  const jwt = openJwt(config, { publish, clock, reportError, onKeys: () => access.forget() });
  const access: Access = new Access(data.access.tokens, new FailureTable(data.access.failures, clock), {
    jwt,
    s3Key: config.s3Key,
  });
  const serving = await composeServerThread({
    config,
    access,
    limits: openLimits(config, { memory: data.access.limits, slot: worker.slot, clock }),
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
    unready: (hasTrouble) => unready({ isServing: board.isReady, outage: board.outage, hasTrouble }),
    onActiveRequests: (count) => board.setActiveRequests(worker.slot, count),
    reportError,
  });
  board.serves();
  const listener = new RenewableListener(
    (certificate) => serving.listen({ port: data.port, reusePort: true, certificate }),
    data.certificate,
  );
  const heart = setInterval(() => {
    board.beat(worker.slot);
    board.setTrouble(worker.slot, serving.storage.trouble !== undefined);
    board.setLoadsInFlight(worker.slot, serving.storage.loadsInFlight);
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
    connect,
    replaceTokens: (tokens) => access.replace(tokens),
    renewCertificate(certificate) {
      try {
        listener.renew(certificate);
      } catch (error) {
        reportError(new Error("renew certificate", { cause: error }));
      }
    },
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
const thread = await startedThread<WorkerData, ToWorker, FromWorker>();
const { data } = thread;
new Board(data.board).setThreadId(data.worker.slot, ownThreadId());

try {
  const worker = await runWorker(data, reportError);
  thread.listen((message) => {
    if (message.kind === "lines") worker.connect(message.lines);
    else if (message.kind === "tokens") worker.replaceTokens(message.tokens);
    else if (message.kind === "certificate") worker.renewCertificate(message.certificate);
    else void worker.stop().then((stopped) => thread.post(stopped));
  });
  thread.post({ kind: "ready", tiers: worker.tiers });
} catch (error) {
  thread.post({ kind: "failed", message: causeText(error) });
  process.exitCode = 1;
}
