/** A line of a kind is written once in this time. */
const WINDOW_MS = 60_000;
/** Most kinds that are remembered. */
const MAX_KINDS = 1024;

/** Remembers when lines were written, so that each kind is written once a minute. */
export class RecentlyTold {
  readonly #toldMs = new Map<string, number>();

  /** True if a line of this kind is due now; it then counts as written. */
  isDue(kind: string, timeMs: number): boolean {
    const toldMs = this.#toldMs.get(kind);
    // Wall time may step back.
    if (toldMs !== undefined && Math.abs(timeMs - toldMs) < WINDOW_MS) return false;
    if (this.#toldMs.size >= MAX_KINDS) this.#toldMs.clear();
    this.#toldMs.set(kind, timeMs);
    return true;
  }
}
