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
