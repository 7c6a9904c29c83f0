import type { ThreadUsage } from "../../runtime/thread_usage.ts";
import type { Board } from "./board.ts";
import type { Seat } from "./worker_messages.ts";

/** The observations of one look at a worker. */
interface Look {
  readonly heartbeat: number;
  /** Time since the last look that the onlooker was not kept waiting itself. */
  readonly elapsedMs: number;
  /** Asked only if the heartbeat stands still. */
  readonly usage: () => ThreadUsage | "ended" | undefined;
}

/**
 * Of the time in which a thread was runnable and had no core, this part counts all the same: no accounting is trusted
 * for ever.
 */
const STARVED_SHARE = 1 / 20;

/**
 * Measures how long a worker has been silent, in time that it could have used. A thread that is runnable is charged for
 * its time on a core only, since the rest was the machine's; one that waits in a blocking call is charged for all of
 * it, and so is one of which the system says nothing.
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

  /** True if the thread was busy at the last look: a thread that waits may wait for one that is busy. */
  get isBusy(): boolean {
    return this.#isRunnable;
  }

  /** True if the worker's heartbeat has not changed since the last look. */
  isUnbroken(heartbeat: number): boolean {
    return heartbeat === this.#heartbeat;
  }

  /** Counts from now on. */
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
export interface LeftoversOptions {
  readonly board: Board;
  readonly threadUsage: (threadId: number) => ThreadUsage | "ended" | undefined;
  readonly timeoutMs: number;
  readonly onStuck: (seat: Seat) => void;
}

interface Leftover {
  readonly seat: Seat;
  readonly threadId: number;
  /** The start time of its thread, by the system's account. */
  readonly startedAt: number | undefined;
  ageMs: number;
  isStuck: boolean;
}

/**
 * Threads that were told to end and are not known to have ended. Finds out which of them are gone and which are stuck.
 */
export class Leftovers {
  readonly #options: LeftoversOptions;
  readonly #leftovers = new Map<number, Leftover>();

  constructor(options: LeftoversOptions) {
    this.#options = options;
  }

  /** stuck: it is still there after one time-out. */
  status(): readonly (Seat & { readonly state: "stopping" | "stuck"; readonly activeRequests: 0 })[] {
    return Array.from(this.#leftovers.values(), ({ seat, isStuck }) => ({
      ...seat,
      state: isStuck ? "stuck" : "stopping",
      activeRequests: 0,
    }));
  }

  /** True if one of them may still write to a place. */
  has(place: number): boolean {
    return [...this.#leftovers.values()].some(({ seat }) => seat.place === place);
  }

  add(seat: Seat): void {
    const { board, threadUsage } = this.#options;
    const threadId = board.threadId(seat.place);
    const usage = threadUsage(threadId);
    if (usage === "ended") return;
    this.#leftovers.set(seat.holder, { seat, threadId, startedAt: usage?.startedAt, ageMs: 0, isStuck: false });
  }

  remove({ holder }: Seat): void {
    this.#leftovers.delete(holder);
  }

  look(elapsedMs: number): void {
    for (const [holder, leftover] of this.#leftovers) {
      const usage = this.#options.threadUsage(leftover.threadId);
      if (usage === "ended" || (usage !== undefined && usage.startedAt !== leftover.startedAt)) {
        this.#leftovers.delete(holder);
        continue;
      }
      leftover.ageMs += elapsedMs;
      if (leftover.isStuck || leftover.ageMs < this.#options.timeoutMs) continue;
      leftover.isStuck = true;
      this.#options.onStuck(leftover.seat);
    }
  }
}
