import type { Clock } from "../../core/clock.ts";
import type { GhostIndex } from "../../storage/shared/ghost_index.ts";
import type { Board } from "./board.ts";
import type { Supervisor } from "./supervisor.ts";
import { SharedText } from "../../core/threads.ts";
import type { StorageStatus } from "../../storage/storage.ts";
import { storeQueueStatus } from "../../storage/storage_manager.ts";
import type { L1 } from "../../l1/l1.ts";

type Tiers = StorageStatus["l2"];

/** A thread's report: its tiers, and the monotonic time of the report. */
interface Report {
  readonly atMs: number;
  readonly tiers: Tiers;
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

  report(tiers: Tiers): void {
    const report: Report = { atMs: this.#clock.monotonicMs(), tiers };
    this.#text.write(JSON.stringify(report));
  }
}

/** Reads the last report of a thread; undefined before its first report. */
function readReport(memory: SharedArrayBuffer, clock: Clock): Tiers | undefined {
  const text = new SharedText(memory).read();
  if (text === "") return undefined;
  const { atMs, tiers } = parseReport(text);
  const sinceSeconds = Math.max(0, clock.monotonicMs() - atMs) / 1000;
  return tiers.map((tier) => {
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
  readonly ghosts: GhostIndex;
  readonly clock: Clock;
  /** Memory of reports on the tiers; the first one that has a report is used. */
  readonly reports: () => readonly SharedArrayBuffer[];
}

/** The storage status of the whole cluster, read from shared memory without waiting for any thread. */
export class ClusterStorage {
  readonly #options: ClusterStorageOptions;

  constructor(options: ClusterStorageOptions) {
    this.#options = options;
  }

  status(): StorageStatus {
    const { supervisor, board, l1, ghosts, clock, reports } = this.#options;
    let l2: StorageStatus["l2"] | undefined;
    for (const memory of reports()) l2 ??= readReport(memory, clock);
    return {
      l1: l1.usage(),
      l2: l2 ?? [],
      storeQueue: storeQueueStatus(this.#options),
      ghostsForgotten: ghosts.forgotten,
      loadsInFlight: supervisor.status().reduce((sum, { place }) => sum + board.loadsInFlight(place), 0),
    };
  }
}
