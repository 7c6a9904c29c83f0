import type { ThreadUsage } from "../../runtime/thread.ts";
import type { Board } from "./board.ts";
import type { Seat } from "./seat.ts";

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
