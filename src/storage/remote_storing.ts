import type { Clock } from "../core/clock.ts";
import type { L1 } from "../l1/types.ts";
import { Poller } from "./poller.ts";
import type { SharedKeys } from "./shared/shared_keys.ts";
import { allStored, type FollowedWrite, type Storing } from "./storing.ts";
import { systemTimers } from "./timers.ts";

/** What a worker says to the thread that stores for all. */
export interface ToStorer {
  readonly kind: "wake";
  readonly followed: FollowedWrite | undefined;
}

/** What a RemoteStoring is made of. */
export interface RemoteStoringOptions {
  readonly l1: L1;
  readonly shared: SharedKeys;
  readonly clock: Clock;
}

/** The thread that stores for all, as a worker reaches it: the objects wait in L1, so that a word is all it is told. */
export class RemoteStoring implements Storing {
  readonly #options: RemoteStoringOptions;
  readonly #poller = new Poller(systemTimers);
  #tell: (message: ToStorer) => void = () => {};

  constructor(options: RemoteStoringOptions) {
    this.#options = options;
  }

  /** The thread hears what is told here from now on. One that is started looks by itself. */
  connect(tell: (message: ToStorer) => void): void {
    this.#tell = tell;
  }

  wake(followed?: FollowedWrite): void {
    // Of many in a row one is told.
    const isFirst = this.#options.shared.noteWake();
    if (isFirst || followed !== undefined) this.#tell({ kind: "wake", followed });
  }

  async settle(): Promise<void> {
    const { l1, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    this.wake();
    await allStored({ l1, clock, poller: this.#poller }, nowMs);
  }
}
