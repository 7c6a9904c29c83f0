/** One kind of line in the window that runs. */
interface Window {
  readonly startMs: number;
  passed: number;
  suppressed: number;
}

/**
 * What a line is told when it asks: whether it may pass, and how many of its kind were kept back since the last that
 * passed.
 */
export type Admission = { readonly passes: true; readonly suppressed: number } | { readonly passes: false };

const WINDOW_MS = 10_000;
const MAX_PER_WINDOW = 5;

/** Lets five lines of a kind pass in ten seconds and counts the others. Kinds are few: they are fixed texts. */
export class RateLimit {
  readonly #windows = new Map<string, Window>();
  #suppressed = 0;

  /** Lines kept back since the beginning. */
  get suppressed(): number {
    return this.#suppressed;
  }

  admit(kind: string, monotonicMs: number): Admission {
    let window = this.#windows.get(kind);
    let suppressed = 0;
    if (window === undefined || monotonicMs - window.startMs >= WINDOW_MS) {
      suppressed = window?.suppressed ?? 0;
      window = { startMs: monotonicMs, passed: 0, suppressed: 0 };
      this.#windows.set(kind, window);
    }
    if (window.passed < MAX_PER_WINDOW) {
      window.passed++;
      return { passes: true, suppressed };
    }
    window.suppressed++;
    this.#suppressed++;
    return { passes: false };
  }

  /** Kinds whose window is over, or all, with what is still to be told of them; it counts as told then. */
  takeUntold(monotonicMs: number, all = false): readonly { readonly kind: string; readonly suppressed: number }[] {
    const untold: { readonly kind: string; readonly suppressed: number }[] = [];
    for (const [kind, { startMs, suppressed }] of this.#windows) {
      if (!all && monotonicMs - startMs < WINDOW_MS) continue;
      this.#windows.delete(kind);
      if (suppressed > 0) untold.push({ kind, suppressed });
    }
    return untold;
  }
}
