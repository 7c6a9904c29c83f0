import type { L1, StoreLimits } from "../../l1/types.ts";
import type { Poller } from "../poller.ts";

/** What a StoreRoom is made of. */
export interface StoreRoomOptions {
  readonly l1: L1;
  /** One bound for all threads. */
  readonly limits: StoreLimits;
  readonly poller: Poller;
  /** Whether other threads may make room, of which this one is not told. */
  readonly isShared: boolean;
}

/**
 * Where writes wait while what is acknowledged and not stored yet has reached its bound: within this thread first come,
 * first served.
 */
export class StoreRoom {
  readonly #options: StoreRoomOptions;
  readonly #waiting: { readonly bytes: number; readonly resolve: () => void }[] = [];
  #looking = false;

  constructor(options: StoreRoomOptions) {
    this.#options = options;
  }

  get limits(): StoreLimits {
    return this.#options.limits;
  }

  /** Whether others wait: then it is their turn. */
  get isAwaited(): boolean {
    return this.#waiting.length > 0;
  }

  /**
   * Resolves when there may be room for an object of so many bytes. `again`: it waited already, and another thread was
   * faster.
   */
  wait(bytes: number, again: boolean): Promise<void> {
    return new Promise((resolve) => {
      if (again) this.#waiting.unshift({ bytes, resolve });
      else this.#waiting.push({ bytes, resolve });
      this.#lookForOthers();
    });
  }

  /** Lets those that wait try, as far as there is room. */
  look(): void {
    const { l1, limits } = this.#options;
    let bytes = 0;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      bytes += next.bytes;
      if (!l1.hasUnsavedRoom(bytes, limits)) return;
      this.#waiting.shift();
      next.resolve();
    }
  }

  #lookForOthers(): void {
    if (this.#looking || !this.#options.isShared) return;
    this.#looking = true;
    void this.#options.poller.until(() => {
      this.look();
      this.#looking = this.isAwaited;
      return !this.#looking;
    });
  }
}
