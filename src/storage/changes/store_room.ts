import type { ObjectKey } from "../../core/key.ts";
import type { L1, StoreLimits } from "../../l1/l1.ts";
import type { SharedKeys } from "../shared/shared_keys.ts";

/** A write that waits for room. */
export interface RoomRequest {
  readonly key: ObjectKey;
  readonly bytes: number;
  /** It has had its turn, and another write was faster: it is the next. */
  readonly again: boolean;
}

/** To be called when the write that was given room has tried, whether it used the room or not. */
export type ReleaseRoom = () => void;

/** Options of a StoreRoom. */
export interface StoreRoomOptions {
  readonly l1: Pick<L1, "dirtyUsage">;
  readonly shared: Pick<SharedKeys, "noteRoomWaiters">;
  /** One bound for all threads. */
  readonly limits: StoreLimits;
  readonly monotonicMs: () => number;
}

/** The waiting writes of one tenant, in the order in which they came. */
interface Queue {
  readonly tenant: string;
  readonly waiting: { readonly bytes: number; readonly resolve: (release: ReleaseRoom) => void }[];
}

/**
 * Where the writes of all threads wait while dirty objects have reached their bound. Tenants take turns, so that one
 * that floods keeps no other waiting; within a tenant the first to come is served first.
 */
export class StoreRoom {
  readonly #options: StoreRoomOptions;
  /** The one whose turn is next is first; none is empty. */
  #queues: readonly Queue[] = [];
  #waiting = 0;
  /** Given to writes that have not tried yet. */
  #given = { entries: 0, bytes: 0 };

  constructor(options: StoreRoomOptions) {
    this.#options = options;
  }

  /** Resolves when it is this write's turn to try, and there is room for it. */
  wait({ key: { tenant }, bytes, again }: RoomRequest): Promise<ReleaseRoom> {
    return new Promise((resolve) => {
      const queue = this.#queues.find((each) => each.tenant === tenant) ?? { tenant, waiting: [] };
      const others = this.#queues.filter((each) => each !== queue);
      if (again) {
        queue.waiting.unshift({ bytes, resolve });
        this.#queues = [queue, ...others];
      } else if (queue.waiting.push({ bytes, resolve }) === 1) this.#queues = [...others, queue];
      this.#count(1);
      this.look();
    });
  }

  /** Lets those try for which there is room. To be called when there may be more. */
  look(): void {
    for (;;) {
      const [queue, ...others] = this.#queues;
      const next = queue?.waiting[0];
      if (queue === undefined || next === undefined || !this.#hasRoom(next.bytes)) return;
      queue.waiting.shift();
      this.#queues = queue.waiting.length > 0 ? [...others, queue] : others;
      this.#count(-1);
      next.resolve(this.#give(next.bytes));
    }
  }

  #hasRoom(bytes: number): boolean {
    const { l1, limits, monotonicMs } = this.#options;
    const usage = l1.dirtyUsage();
    const entries = usage.entries + this.#given.entries;
    if (entries === 0) return true;
    const { maxEntries, maxBytes, maxAgeMs = 0 } = limits;
    const isOld = maxAgeMs > 0 && monotonicMs() - (usage.oldestMs ?? Infinity) > maxAgeMs;
    return !isOld && entries < maxEntries && usage.bytes + this.#given.bytes + bytes <= maxBytes;
  }

  #give(bytes: number): ReleaseRoom {
    this.#given = { entries: this.#given.entries + 1, bytes: this.#given.bytes + bytes };
    let isGiven = true;
    return () => {
      if (!isGiven) return;
      isGiven = false;
      this.#given = { entries: this.#given.entries - 1, bytes: this.#given.bytes - bytes };
      this.look();
    };
  }

  #count(change: number): void {
    this.#waiting += change;
    this.#options.shared.noteRoomWaiters(this.#waiting);
  }
}
