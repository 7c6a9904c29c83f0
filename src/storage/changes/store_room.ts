import type { ObjectKey } from "../../core/object.ts";
import type { L1, StoreLimits } from "../../l1/l1.ts";
import type { SharedKeys } from "../shared/shared_keys.ts";

/** A write that waits for room. */
export interface RoomRequest {
  readonly key: ObjectKey;
  readonly bytes: number;
  /** True if the write was given room but another one was faster. It then goes to the front of the queue. */
  readonly again: boolean;
}

/** Must be called when the write that was given room has tried to use it, whether that succeeded or not. */
export type ReleaseRoom = () => void;

/** Options of a StoreRoom. */
export interface StoreRoomOptions {
  readonly l1: Pick<L1, "dirtyUsage">;
  readonly shared: Pick<SharedKeys, "setRoomWaiters">;
  /** One set of limits for all threads. */
  readonly limits: StoreLimits;
  readonly monotonicMs: () => number;
  /** Called while a write waits for room. */
  readonly makeRoom: () => void;
}

/** The waiting writes of one tenant, in order of arrival. */
interface Queue {
  readonly tenant: string;
  readonly waiting: { readonly bytes: number; readonly resolve: (release: ReleaseRoom) => void }[];
}

/**
 * The queue of all threads' writes while dirty objects have reached their limits. Tenants take turns, so that a flood
 * from one does not hold up the others. Within a tenant, writes are served in order of arrival.
 */
export class StoreRoom {
  readonly #options: StoreRoomOptions;
  /** The first queue is served next. None is empty. */
  #queues: readonly Queue[] = [];
  #waiting = 0;
  /** Room given to writes that have not tried to use it yet. */
  #given = { entries: 0, bytes: 0 };

  constructor(options: StoreRoomOptions) {
    this.#options = options;
  }

  /** Resolves when it is this write's turn and there is room for it. */
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

  /** Lets waiting writes try while there is room. Call it when there may be more room. */
  look(): void {
    for (;;) {
      const [queue, ...others] = this.#queues;
      const next = queue?.waiting[0];
      if (queue === undefined || next === undefined) return;
      if (!this.#hasRoom(next.bytes)) return this.#options.makeRoom();
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
    this.#options.shared.setRoomWaiters(this.#waiting);
  }
}
