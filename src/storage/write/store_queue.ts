/** A place in the store queue, taken before the object is admitted. Given back once, by `leave`. */
export interface Place {
  leave(): void;
}

/** Bounds on what is acknowledged but not yet stored. */
export interface StoreQueueLimits {
  readonly maxEntries: number;
  /** Bytes of objects that the queue may pin in L1. A single larger object is let in when nothing else is queued. */
  readonly maxBytes: number;
}

/** Hands out the places of the store queue, first come, first served; who finds none waits. */
export class StoreQueue {
  readonly #limits: StoreQueueLimits;
  readonly #waiting: { readonly bytes: number; readonly resolve: (place: Place) => void }[] = [];
  #entries = 0;
  #bytes = 0;

  constructor(limits: StoreQueueLimits) {
    this.#limits = limits;
  }

  get entries(): number {
    return this.#entries;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** A place for an object of `bytes`; waits for it if the queue is full. */
  enter(bytes: number): Place | Promise<Place> {
    if (this.#waiting.length === 0 && this.#fits(bytes)) return this.#take(bytes);
    return new Promise((resolve) => this.#waiting.push({ bytes, resolve }));
  }

  #fits(bytes: number): boolean {
    if (this.#entries === 0) return true;
    return this.#entries < this.#limits.maxEntries && this.#bytes + bytes <= this.#limits.maxBytes;
  }

  #take(bytes: number): Place {
    this.#entries += 1;
    this.#bytes += bytes;
    let left = false;
    return {
      leave: () => {
        if (left) return;
        left = true;
        this.#entries -= 1;
        this.#bytes -= bytes;
        this.#admitWaiting();
      },
    };
  }

  #admitWaiting(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      next.resolve(this.#take(next.bytes));
    }
  }
}
