import type { Poller } from "../poller.ts";
import type { QueueLimits } from "../shared/queue_share.ts";
import type { SharedKeys } from "../shared/shared_keys.ts";

/** A place in the store queue, taken before the object is admitted. Given back once, by `leave`. */
export interface Place {
  leave(): void;
}

/** What a StoreQueue is made of. */
export interface StoreQueueOptions {
  readonly limits: QueueLimits;
  readonly shared: SharedKeys;
  readonly poller: Poller;
}

/** Hands out the places of the store queue, which have one bound for all threads; within this one first come, first served; who finds none waits. */
export class StoreQueue {
  readonly #options: StoreQueueOptions;
  readonly #waiting: { readonly bytes: number; readonly resolve: (place: Place) => void }[] = [];
  #looking = false;

  constructor(options: StoreQueueOptions) {
    this.#options = options;
  }

  /** This thread's own. */
  get entries(): number {
    return this.#options.shared.queue.entries;
  }

  get bytes(): number {
    return this.#options.shared.queue.bytes;
  }

  /** A place for an object of `bytes`; waits for it if the queue is full. */
  enter(bytes: number): Place | Promise<Place> {
    if (this.#waiting.length === 0 && this.#tryEnter(bytes)) return this.#placeOf(bytes);
    return new Promise((resolve) => {
      this.#waiting.push({ bytes, resolve });
      this.#lookForOthers();
    });
  }

  /** A place in any case, for an object that is acknowledged already. */
  adopt(bytes: number): Place {
    this.#options.shared.queue.enter(bytes);
    return this.#placeOf(bytes);
  }

  #tryEnter(bytes: number): boolean {
    return this.#options.shared.queue.tryEnter(bytes, this.#options.limits);
  }

  #placeOf(bytes: number): Place {
    let left = false;
    return {
      leave: () => {
        if (left) return;
        left = true;
        this.#options.shared.queue.leave(bytes);
        this.#admitWaiting();
      },
    };
  }

  /** Places that other threads give back are not told of. */
  #lookForOthers(): void {
    if (this.#looking || !this.#options.shared.isShared) return;
    this.#looking = true;
    void this.#options.poller.until(() => {
      this.#admitWaiting();
      this.#looking = this.#waiting.length > 0;
      return !this.#looking;
    });
  }

  #admitWaiting(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#tryEnter(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      next.resolve(this.#placeOf(next.bytes));
    }
  }
}
