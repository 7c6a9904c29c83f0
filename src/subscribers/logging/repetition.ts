/** Something that fails, since when it was last told, and how often since. */
interface Outage {
  cause: string;
  failures: number;
  untold: number;
  toldMs: number;
  failedMs: number;
}

/** Milliseconds for which an outage with the same cause is not logged again. */
const AGAIN_MS = 60_000;
/** Causes are texts of others: what lasts is told once a minute, however they vary. */
const CHANGED_MS = 10_000;

/**
 * Keeps what fails from filling the log: the first failure is told, then one in a minute or where the cause is another,
 * and that it is over. Kinds are few.
 */
export class Outages {
  readonly #quietMs: number;
  readonly #outages = new Map<string, Outage>();

  /** `quietMs`: how long after the last failure a success ends an outage; for news that may come out of order. */
  constructor(quietMs: number) {
    this.#quietMs = quietMs;
  }

  /**
   * Notes a failure. The number of failures since the last that was told, this one included, if it is to be told; else
   * undefined.
   */
  failed(
    kind: string,
    { cause, monotonicMs, count }: { readonly cause: string; readonly monotonicMs: number; readonly count: number },
  ): number | undefined {
    const outage = this.#outages.get(kind) ??
      { cause, failures: 0, untold: 0, toldMs: -Infinity, failedMs: monotonicMs };
    this.#outages.set(kind, outage);
    outage.failures += count;
    outage.untold += count;
    outage.failedMs = monotonicMs;
    const sinceMs = monotonicMs - outage.toldMs;
    if (sinceMs < (cause === outage.cause ? AGAIN_MS : CHANGED_MS)) return undefined;
    const { untold } = outage;
    outage.cause = cause;
    outage.untold = 0;
    outage.toldMs = monotonicMs;
    return untold;
  }

  /** Notes a success. The number of all failures of the outage if it is over now, else undefined. */
  worked(kind: string, monotonicMs: number): number | undefined {
    const outage = this.#outages.get(kind);
    if (outage === undefined || monotonicMs - outage.failedMs < this.#quietMs) return undefined;
    this.#outages.delete(kind);
    return outage.failures;
  }
}

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

/** A line of a kind is written once in this time. */
const ONCE_MS = 60_000;
/** Most kinds that are remembered. */
const MAX_KINDS = 1024;

/** Remembers when lines were written, so that each kind is written once a minute. */
export class RecentlyTold {
  readonly #writtenMs = new Map<string, number>();

  /** True if a line of this kind is due now; it then counts as written. */
  isDue(kind: string, timeMs: number): boolean {
    const writtenMs = this.#writtenMs.get(kind);
    // Wall time may step back.
    if (writtenMs !== undefined && Math.abs(timeMs - writtenMs) < ONCE_MS) return false;
    if (this.#writtenMs.size >= MAX_KINDS) this.#writtenMs.clear();
    this.#writtenMs.set(kind, timeMs);
    return true;
  }
}
