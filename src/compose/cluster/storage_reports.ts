import type { Clock } from "../../core/clock.ts";
import { shareRuns } from "../../core/coalesce.ts";
import { causeText } from "../../core/errors.ts";
import { SharedText } from "../../core/threads.ts";
import type { EventName } from "../../events/catalogue.ts";
import type { L1 } from "../../l1/l1.ts";
import type { L2Reader } from "../../l2/adapter.ts";
import type { FolderKeeper } from "../../l2/file/folder_keeper.ts";
import type { RemovalHistory } from "../../storage/shared/removal_history.ts";
import { type StorageStatus, storeQueueStatus } from "../../storage/storage.ts";
import type { Board } from "./board.ts";
import type { Supervisor } from "./supervisor.ts";

type Tiers = StorageStatus["l2"];

/** The tiers that a thread reports on, by index; null for those that another thread reports on. */
type Reported = readonly (Tiers[number] | null)[];

/** A thread's report: its tiers, and the monotonic time of the report. */
interface Report {
  readonly atMs: number;
  readonly tiers: Reported;
}

const CAPACITY_BYTES = 1 << 16;

/** Memory for the reports of one thread. */
export function allocateReports(): SharedArrayBuffer {
  return SharedText.allocate(CAPACITY_BYTES);
}

/** Writes a thread's reports to shared memory. */
export class TierReporter {
  readonly #text: SharedText;
  readonly #clock: Clock;

  constructor(memory: SharedArrayBuffer, clock: Clock) {
    this.#text = new SharedText(memory);
    this.#clock = clock;
  }

  report(usages: readonly (Tiers[number] | undefined)[]): void {
    const tiers = usages.map((usage) => usage ?? null);
    const report: Report = { atMs: this.#clock.monotonicMs(), tiers };
    this.#text.write(JSON.stringify(report));
  }
}

/** Reads the last report of a thread; undefined before its first report. */
function readReport(memory: SharedArrayBuffer, clock: Clock): Reported | undefined {
  const text = new SharedText(memory).read();
  if (text === "") return undefined;
  const { atMs, tiers } = parseReport(text);
  const sinceSeconds = Math.max(0, clock.monotonicMs() - atMs) / 1000;
  return tiers.map((tier) => {
    if (tier === null) return null;
    const { objects = 0, oldestAgeSeconds } = tier;
    return objects === 0 || oldestAgeSeconds === undefined
      ? tier
      : { ...tier, oldestAgeSeconds: oldestAgeSeconds + sinceSeconds };
  });
}

function parseReport(json: string): Report {
  return JSON.parse(json);
}

/** Options of a ClusterStorage. */
export interface ClusterStorageOptions {
  readonly supervisor: Supervisor;
  readonly board: Board;
  readonly l1: L1;
  readonly history: RemovalHistory;
  readonly clock: Clock;
  /**
   * Memory of reports on the tiers, by group of threads: in each group the first one that has a report is used, and
   * each group reports on other tiers.
   */
  readonly reports: () => readonly (readonly SharedArrayBuffer[])[];
}

/** The storage status of the whole cluster, read from shared memory without waiting for any thread. */
export class ClusterStorage {
  readonly #options: ClusterStorageOptions;

  constructor(options: ClusterStorageOptions) {
    this.#options = options;
  }

  status(): StorageStatus {
    const { supervisor, board, l1, history, clock, reports } = this.#options;
    const l2: Tiers[number][] = [];
    for (const group of reports()) {
      let reported: Reported | undefined;
      for (const memory of group) reported ??= readReport(memory, clock);
      for (const [index, tier] of reported?.entries() ?? []) if (tier !== null) l2[index] = tier;
    }
    return {
      l1: l1.usage(),
      l2: Object.values(l2),
      storeQueue: storeQueueStatus(this.#options),
      quotas: l1.quotas(),
      lossesForgotten: history.forgotten,
      loadsInFlight: supervisor.status().reduce((sum, { slot }) => sum + board.loadsInFlight(slot), 0),
    };
  }
}

/** Options of UsageReports. */
export interface UsageReportsOptions {
  readonly reporter: TierReporter;
  /** By the index of the tier; undefined for those that another thread reports on. */
  readonly tiers: readonly (Pick<L2Reader, "name" | "usage"> | undefined)[];
  /** The folders of this thread, whose totals are known at any time. */
  readonly folders: readonly (Pick<FolderKeeper, "totals"> | undefined)[];
}

/** True for events after which the usage of a folder has changed. */
export function changesUsage(event: EventName): boolean {
  return event === "l2.committed" || event === "l2.removed" || event === "l2.reclaimed";
}

/** A thread's reports on the usage of tiers. */
export class UsageReports {
  /** Measures all tiers and reports. */
  readonly measure: () => Promise<void>;
  readonly #options: UsageReportsOptions;
  #usages: readonly (StorageStatus["l2"][number] | undefined)[] = [];
  #isDue = false;

  constructor(options: UsageReportsOptions) {
    this.#options = options;
    this.measure = shareRuns(async () => {
      this.#usages = await Promise.all(options.tiers.map(async (tier) => tier && await usageOf(tier)));
      this.#report();
    });
  }

  /** Reports the totals of the folders, once in this turn of the event loop. */
  soon(): void {
    if (this.#isDue || this.#usages.length === 0) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      this.#report();
    });
  }

  #report(): void {
    const { reporter, folders } = this.#options;
    reporter.report(this.#usages.map((usage, tier) => usage && { ...usage, ...folders[tier]?.totals }));
  }
}

/** The usage of a tier, or the error if it cannot be measured. */
async function usageOf(tier: Pick<L2Reader, "name" | "usage">): Promise<StorageStatus["l2"][number]> {
  try {
    return { tier: tier.name, ...await tier.usage() };
  } catch (error) {
    return { tier: tier.name, error: causeText(error) };
  }
}
