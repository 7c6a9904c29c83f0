import type { Every } from "../../core/clock.ts";
import { type ThreadUsage, threadUsage } from "../../runtime/thread.ts";
import type { Board } from "./board.ts";
import type { WorkerRef } from "./messages.ts";

/** Time, and the system's account of threads, for those who watch threads. */
export interface SystemTime {
  readonly nowMs: () => number;
  readonly threadUsage: typeof threadUsage;
  readonly every: Every;
  readonly after: (ms: number, callback: () => void) => void;
}

/** The system's own. Its timers keep the process alive. */
export const systemTime: SystemTime = {
  nowMs: () => performance.now(),
  threadUsage,
  every(intervalMs, run) {
    const timer = setInterval(run, intervalMs);
    return () => clearInterval(timer);
  },
  after: (ms, callback) => void setTimeout(callback, ms),
};

/** The state of a thread at one look. */
interface Look {
  readonly heartbeat: number;
  /** Time since the previous look, without the time for which the observer itself was delayed. */
  readonly elapsedMs: number;
  /** Called only if the heartbeat has not changed. */
  readonly usage: () => ThreadUsage | "ended" | undefined;
}

/**
 * The part of a runnable thread's time without a core that counts as silence all the same, in case accounting fails.
 */
const STARVED_SHARE = 1 / 20;

/**
 * Measures how long a thread has been silent, in time that it could have used. A runnable thread is charged only for
 * its time on a core. A thread that waits in a blocking call is charged for all of the time, and so is one whose usage
 * is unknown.
 */
export class Silence {
  #heartbeat: number;
  #cpuMs: number | undefined;
  #isRunnable = false;
  #ms = 0;

  constructor(heartbeat: number) {
    this.#heartbeat = heartbeat;
  }

  get ms(): number {
    return this.#ms;
  }

  /** True if the thread was busy at the last look. A waiting thread may be waiting for a busy one. */
  get isBusy(): boolean {
    return this.#isRunnable;
  }

  /** True if the heartbeat has not changed since the last look. */
  isUnbroken(heartbeat: number): boolean {
    return heartbeat === this.#heartbeat;
  }

  /** Restarts the measurement. */
  restart(): void {
    this.#cpuMs = undefined;
    this.#isRunnable = false;
    this.#ms = 0;
  }

  look({ heartbeat, elapsedMs, usage }: Look): void {
    if (!this.isUnbroken(heartbeat)) {
      this.#heartbeat = heartbeat;
      this.restart();
      return;
    }
    const seen = usage();
    const { cpuMs, isRunnable } = seen === undefined || seen === "ended"
      ? { cpuMs: undefined, isRunnable: false }
      : seen;
    this.#ms += isRunnable ? this.#chargeOf(cpuMs, elapsedMs) : elapsedMs;
    this.#cpuMs = cpuMs;
    this.#isRunnable = isRunnable;
  }

  #chargeOf(cpuMs: number | undefined, elapsedMs: number): number {
    const usedMs = cpuMs === undefined || this.#cpuMs === undefined ? 0 : cpuMs - this.#cpuMs;
    return Math.min(elapsedMs, Math.max(usedMs, elapsedMs * STARVED_SHARE));
  }
}

/** Options of Leftovers. */
export interface LeftoversOptions extends Pick<SystemTime, "threadUsage"> {
  readonly board: Board;
  readonly timeoutMs: number;
  readonly onStuck: (worker: WorkerRef) => void;
}

interface Leftover {
  readonly worker: WorkerRef;
  readonly threadId: number;
  /** The start time of its thread, according to the system. */
  readonly startedAt: number | undefined;
  ageMs: number;
  isStuck: boolean;
}

/** Threads that were told to end and may still exist. Finds out which of them have ended and which are stuck. */
export class Leftovers {
  readonly #options: LeftoversOptions;
  readonly #leftovers = new Map<number, Leftover>();

  constructor(options: LeftoversOptions) {
    this.#options = options;
  }

  /** stuck: it still exists after one time-out. */
  status(): readonly (WorkerRef & { readonly state: "stopping" | "stuck"; readonly activeRequests: 0 })[] {
    return Array.from(this.#leftovers.values(), ({ worker, isStuck }) => ({
      ...worker,
      state: isStuck ? "stuck" : "stopping",
      activeRequests: 0,
    }));
  }

  /** True if one of them may still write to a slot. */
  has(slot: number): boolean {
    return [...this.#leftovers.values()].some(({ worker }) => worker.slot === slot);
  }

  add(worker: WorkerRef): void {
    const { board, threadUsage } = this.#options;
    const threadId = board.threadId(worker.slot);
    const usage = threadUsage(threadId);
    if (usage === "ended") return;
    this.#leftovers.set(worker.workerId, { worker, threadId, startedAt: usage?.startedAt, ageMs: 0, isStuck: false });
  }

  remove({ workerId }: WorkerRef): void {
    this.#leftovers.delete(workerId);
  }

  look(elapsedMs: number): void {
    for (const [workerId, leftover] of this.#leftovers) {
      const usage = this.#options.threadUsage(leftover.threadId);
      if (usage === "ended" || (usage !== undefined && usage.startedAt !== leftover.startedAt)) {
        this.#leftovers.delete(workerId);
        continue;
      }
      leftover.ageMs += elapsedMs;
      if (leftover.isStuck || leftover.ageMs < this.#options.timeoutMs) continue;
      leftover.isStuck = true;
      this.#options.onStuck(leftover.worker);
    }
  }
}
