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

/** Those of one tenant that wait, as they came. */
interface Queue {
  readonly tenant: string;
  readonly waiting: { readonly bytes: number; readonly resolve: () => void }[];
}

/**
 * Where writes wait while what is acknowledged and not stored yet has reached its bound. Within this thread tenants
 * have their turn one after the other, so that one that floods keeps no other waiting; those of a tenant are served as
 * they came.
 */
export class StoreRoom {
  readonly #options: StoreRoomOptions;
  /** Whose turn is next first; none is empty. */
  #queues: readonly Queue[] = [];
  #looking = false;

  constructor(options: StoreRoomOptions) {
    this.#options = options;
  }

  get limits(): StoreLimits {
    return this.#options.limits;
  }

  /** Whether others of the tenant wait: then it is their turn. */
  isAwaited(tenant: string): boolean {
    return this.#queues.some((queue) => queue.tenant === tenant);
  }

  /**
   * Resolves when it is this write's turn to try, with room for so many bytes. `again`: it has had its turn, and
   * another write was faster: it is the next.
   */
  wait(tenant: string, { bytes, again }: { readonly bytes: number; readonly again: boolean }): Promise<void> {
    return new Promise((resolve) => {
      const queue = this.#queues.find((each) => each.tenant === tenant) ?? { tenant, waiting: [] };
      const others = this.#queues.filter((each) => each !== queue);
      if (again) {
        queue.waiting.unshift({ bytes, resolve });
        this.#queues = [queue, ...others];
      } else if (queue.waiting.push({ bytes, resolve }) === 1) this.#queues = [...others, queue];
      this.#lookForOthers();
    });
  }

  /** Lets the next one try, if there is room. To be called again when it has. */
  look(): void {
    const [queue, ...others] = this.#queues;
    const { l1, limits } = this.#options;
    if (queue === undefined || !l1.hasUnsavedRoom(queue.waiting[0]?.bytes ?? 0, limits)) return;
    const next = queue.waiting.shift();
    this.#queues = queue.waiting.length > 0 ? [...others, queue] : others;
    next?.resolve();
  }

  #lookForOthers(): void {
    if (this.#looking || !this.#options.isShared) return;
    this.#looking = true;
    void this.#options.poller.until(() => {
      this.look();
      this.#looking = this.#queues.length > 0;
      return !this.#looking;
    });
  }
}
