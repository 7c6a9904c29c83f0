import type { CollectorHub } from "../../events/channel/collector_hub.ts";
import type { L1 } from "../../l1/types.ts";
import type { GhostIndex } from "../../storage/shared/ghost_index.ts";
import type { StorageStatus } from "../../storage/types.ts";
import { QUESTION } from "./questions.ts";
import type { Supervisor } from "./supervisor.ts";
import { producerOf } from "./worker_data.ts";

/** How long a worker may take to say how its storage is. */
const ANSWER_MS = 1000;

/** What a ClusterStorage asks. */
export interface ClusterStorageOptions {
  readonly hub: CollectorHub;
  readonly supervisor: Supervisor;
  readonly l1: L1;
  readonly ghosts: GhostIndex;
}

/**
 * The storage of all workers as one: L1 as main sees it, the tiers as the first worker that answers, queues and loads
 * of all together.
 */
export class ClusterStorage {
  readonly #options: ClusterStorageOptions;

  constructor(options: ClusterStorageOptions) {
    this.#options = options;
  }

  /** What a worker that does not answer in time has queued is missing. */
  async status(): Promise<StorageStatus> {
    const answers = await this.#answers();
    const total = (numberOf: (status: StorageStatus) => number) =>
      answers.reduce((sum, status) => sum + numberOf(status), 0);
    return {
      l1: this.#options.l1.usage(),
      l2: answers[0]?.l2 ?? [],
      storeQueue: {
        entries: total(({ storeQueue }) => storeQueue.entries),
        bytes: total(({ storeQueue }) => storeQueue.bytes),
        inFlight: total(({ storeQueue }) => storeQueue.inFlight),
        oldestAgeSeconds: Math.max(0, ...answers.map(({ storeQueue }) => storeQueue.oldestAgeSeconds)),
      },
      ghostsForgotten: this.#options.ghosts.forgotten,
      loadsInFlight: total(({ loadsInFlight }) => loadsInFlight),
    };
  }

  async #answers(): Promise<readonly StorageStatus[]> {
    const { hub, supervisor } = this.#options;
    const ready = supervisor.status().filter(({ state }) => state === "ready" || state === "stopping");
    const asked = await Promise.allSettled(
      ready.map((seat) => hub.request(producerOf(seat), { topic: QUESTION.storage, deadlineMs: ANSWER_MS })),
    );
    return asked.filter((answer) => answer.status === "fulfilled").map(({ value }) => parseStatus(value));
  }
}

function parseStatus(json: string): StorageStatus {
  return JSON.parse(json);
}
