/** A kind of failure that lasts. */
interface Outage {
  cause: string;
  failures: number;
  unlogged: number;
  loggedMs: number;
  failedMs: number;
}

/** Time for which an outage with the same cause is not logged again. */
const AGAIN_MS = 60_000;
/** Time for which an outage with another cause is not logged again: causes are arbitrary texts. */
const CHANGED_MS = 10_000;

/**
 * Limits the lines about lasting failures: the first failure is logged, then one per minute or when the cause changes,
 * and the end of the outage. There must be few kinds.
 */
export class Outages {
  readonly #quietMs: number;
  readonly #outages = new Map<string, Outage>();

  /**
   * `quietMs`: time after the last failure from which a success ends an outage; for events that arrive out of order.
   */
  constructor(quietMs: number) {
    this.#quietMs = quietMs;
  }

  /**
   * Records a failure. Returns the number of failures since the last logged one, including this one, if it must be
   * logged; otherwise undefined.
   */
  failed(
    kind: string,
    { cause, monotonicMs, count }: { readonly cause: string; readonly monotonicMs: number; readonly count: number },
  ): number | undefined {
    const outage = this.#outages.get(kind) ??
      { cause, failures: 0, unlogged: 0, loggedMs: -Infinity, failedMs: monotonicMs };
    this.#outages.set(kind, outage);
    outage.failures += count;
    outage.unlogged += count;
    outage.failedMs = monotonicMs;
    const sinceMs = monotonicMs - outage.loggedMs;
    if (sinceMs < (cause === outage.cause ? AGAIN_MS : CHANGED_MS)) return undefined;
    const { unlogged } = outage;
    outage.cause = cause;
    outage.unlogged = 0;
    outage.loggedMs = monotonicMs;
    return unlogged;
  }

  /** Records a success. Returns the number of failures of the outage if it ends now; otherwise undefined. */
  worked(kind: string, monotonicMs: number): number | undefined {
    const outage = this.#outages.get(kind);
    if (outage === undefined || monotonicMs - outage.failedMs < this.#quietMs) return undefined;
    this.#outages.delete(kind);
    return outage.failures;
  }
}

/** The current window of one kind of line. */
interface Window {
  readonly startMs: number;
  passed: number;
  suppressed: number;
}

/**
 * The decision about a line, and the number of lines of its kind that were suppressed since the last one that passed.
 */
export type Admission = { readonly passes: true; readonly suppressed: number } | { readonly passes: false };

const WINDOW_MS = 10_000;
const MAX_PER_WINDOW = 5;

/** Lets five lines of a kind pass in ten seconds and counts the others. There must be few kinds. */
export class RateLimit {
  readonly #windows = new Map<string, Window>();
  #suppressed = 0;

  /** The number of suppressed lines so far. */
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

  /** Takes the numbers of suppressed lines of all kinds whose window is over, or of all kinds. */
  takeSuppressed(monotonicMs: number, all = false): readonly { readonly kind: string; readonly suppressed: number }[] {
    const unlogged: { readonly kind: string; readonly suppressed: number }[] = [];
    for (const [kind, { startMs, suppressed }] of this.#windows) {
      if (!all && monotonicMs - startMs < WINDOW_MS) continue;
      this.#windows.delete(kind);
      if (suppressed > 0) unlogged.push({ kind, suppressed });
    }
    return unlogged;
  }
}

/** Time in which one line of a kind is written. */
const ONCE_MS = 60_000;
/** Maximum number of remembered kinds. */
const MAX_KINDS = 1024;

/** Lets one line of each kind pass per minute. */
export class OncePerMinute {
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
