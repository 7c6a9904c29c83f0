import type { Clock } from "../core/clock.ts";

/** Settings of slices. */
export interface SlicesOptions {
  readonly clock: Clock;
  /** How long they may hold the thread at a time. */
  readonly sliceMs: number;
  /** Lets others use the thread. */
  readonly pause: () => Promise<void>;
}

/** Events between two looks at the clock. */
const STRIDE = 16;

/** Divides long work into slices, so that its thread stays open for other work between them. */
export class Slices {
  readonly #options: SlicesOptions;
  #events = 0;
  #isOpen = false;
  #endMs = 0;

  constructor(options: SlicesOptions) {
    this.#options = options;
  }

  /**
   * Whether this slice is over; to be asked after each event. A slice lasts until others have had their turn, however
   * many looks fall into it.
   */
  isOver(): boolean {
    if (++this.#events % STRIDE !== 0) return false;
    const monotonicMs = this.#options.clock.monotonicMs();
    if (!this.#isOpen) {
      this.#isOpen = true;
      this.#endMs = monotonicMs + this.#options.sliceMs;
      void this.pause().then(() => this.#isOpen = false);
    }
    return monotonicMs >= this.#endMs;
  }

  /** Resolves when others have had their turn. */
  pause(): Promise<void> {
    return this.#options.pause();
  }
}
