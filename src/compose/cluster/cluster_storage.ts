import type { Clock } from "../../core/clock.ts";
import type { L1 } from "../../l1/l1.ts";
import type { GhostIndex } from "../../storage/shared/ghost_index.ts";
import { storeQueueStatus } from "../../storage/storage_manager.ts";
import type { StorageStatus } from "../../storage/storage.ts";
import type { Board } from "./board.ts";
import type { Supervisor } from "./supervisor.ts";
import { readReport } from "./tier_reports.ts";

/** Where a ClusterStorage looks. */
export interface ClusterStorageOptions {
  readonly supervisor: Supervisor;
  readonly board: Board;
  readonly l1: L1;
  readonly ghosts: GhostIndex;
  readonly clock: Clock;
  /** Memory with reports on the tiers; the first that has one counts. */
  readonly reports: () => readonly SharedArrayBuffer[];
}

/** The storage of all threads as one, out of shared memory alone: no thread is asked, and none waited for. */
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
