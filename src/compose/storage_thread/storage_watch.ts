import type { Publish } from "../../core/events.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { ThreadUsage } from "../../runtime/thread.ts";
import type { Board } from "../cluster/board.ts";
import { Silence } from "../cluster/liveness.ts";

/** How often main looks at the thread's beats. */
export const LOOK_MS = 250;
/** How long its event loop may stand still: longer than a busy disk makes a commit wait. */
const STUCK_MS = 5000;

/** What a StorageWatch is made of. */
export interface StorageWatchOptions {
  readonly board: Board;
  readonly publish: Publish<EventMap>;
  readonly nowMs: () => number;
  readonly threadUsage: (threadId: number) => ThreadUsage | "ended" | undefined;
}

/**
 * Notices that the storage thread stands still or is not there, and tells it: by events, and on the board for whoever
 * answers /readyz. The time that it stands still is counted like a worker's silence (Silence): a thread that is given
 * no core, or a process that is stopped, is not stuck.
 */
export class StorageWatch {
  readonly #options: StorageWatchOptions;
  /** Of the thread that serves; undefined while none does. */
  #silence: Silence | undefined;
  #lookedMs = 0;

  constructor(options: StorageWatchOptions) {
    this.#options = options;
  }

  /** The seconds that the event loop has stood still; 0 if it has turned since the last look, or there is none. */
  get stuckSeconds(): number {
    return (this.#silence?.ms ?? 0) / 1000;
  }

  get isStuck(): boolean {
    return (this.#silence?.ms ?? 0) >= STUCK_MS;
  }

  /** A thread serves from now on. */
  begin(): void {
    const { board, nowMs, publish } = this.#options;
    this.#silence = new Silence(board.storageBeat);
    this.#lookedMs = nowMs();
    board.setStorageOutage(undefined);
    publish("storage_thread.started", {});
  }

  /** The thread is over. */
  end(why: EventMap["storage_thread.gone"]): void {
    this.#silence = undefined;
    this.#options.board.setStorageOutage("gone");
    this.#options.publish("storage_thread.gone", why);
  }

  /** To be called every LOOK_MS. */
  look(): void {
    const { board, nowMs, publish, threadUsage } = this.#options;
    const now = nowMs();
    // Where this look comes later than that, main was kept waiting itself.
    const elapsedMs = Math.min(now - this.#lookedMs, 2 * LOOK_MS);
    this.#lookedMs = now;
    if (this.#silence === undefined) return;
    const { isStuck: wasStuck, stuckSeconds: seconds } = this;
    const usage = () => threadUsage(board.storageThreadId);
    this.#silence.look({ heartbeat: board.storageBeat, elapsedMs, usage });
    if (this.isStuck && !wasStuck) publish("storage_thread.stuck", {});
    if (!this.isStuck && wasStuck) publish("storage_thread.resumed", { seconds });
    board.setStorageOutage(this.isStuck ? { seconds: Math.floor(this.stuckSeconds) } : undefined);
  }
}
