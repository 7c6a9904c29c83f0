import type { Publish } from "../../core/events.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { ThreadUsage } from "../../runtime/thread.ts";
import type { Board } from "../cluster/board.ts";
import { Silence } from "../cluster/liveness.ts";

/** Milliseconds between two checks of the thread's heartbeat. */
export const LOOK_MS = 250;
/** Milliseconds for which its event loop may be blocked: longer than a busy disk delays a commit. */
const STUCK_MS = 5000;

/** Options of a StorageWatch. */
export interface StorageWatchOptions {
  readonly board: Board;
  readonly publish: Publish<EventMap>;
  readonly nowMs: () => number;
  readonly threadUsage: (threadId: number) => ThreadUsage | "ended" | undefined;
}

/**
 * Detects that the storage thread is stuck or gone, and reports it: with events, and on the board for /readyz. Silence
 * measures the time for which the thread is blocked, as it does for workers: a thread that gets no core, or whose
 * process is suspended, is not stuck.
 */
export class StorageWatch {
  readonly #options: StorageWatchOptions;
  /** The silence of the serving thread; undefined while there is none. */
  #silence: Silence | undefined;
  #lookedMs = 0;

  constructor(options: StorageWatchOptions) {
    this.#options = options;
  }

  /** Seconds for which the event loop has been blocked; 0 if it ran since the last look, or if no thread serves. */
  get stuckSeconds(): number {
    return (this.#silence?.ms ?? 0) / 1000;
  }

  get isStuck(): boolean {
    return (this.#silence?.ms ?? 0) >= STUCK_MS;
  }

  /** Begins to watch a thread that is ready. */
  begin(): void {
    const { board, nowMs, publish } = this.#options;
    this.#silence = new Silence(board.storageBeat);
    this.#lookedMs = nowMs();
    board.setStorageOutage(undefined);
    publish("storage_thread.started", {});
  }

  /** Records the end of the thread. */
  end(why: EventMap["storage_thread.gone"]): void {
    this.#silence = undefined;
    this.#options.board.setStorageOutage("gone");
    this.#options.publish("storage_thread.gone", why);
  }

  /** Checks the thread; call it every LOOK_MS. */
  look(): void {
    const { board, nowMs, publish, threadUsage } = this.#options;
    const now = nowMs();
    // A later look means that main itself was delayed.
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
