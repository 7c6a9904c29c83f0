/** How one push ended. */
export interface PushEnd {
  /** Why it did not arrive; undefined if it did. */
  readonly error?: Error | undefined;
  /** What the collector said of the items it did not take, though the push arrived. */
  readonly rejected?: { readonly items: number; readonly message: string } | undefined;
}

/** Counts how pushes of one signal ended, and tells each. One of which the collector did not take all has failed. */
export class ExportCounts {
  readonly #onEnd: (end: PushEnd) => void;
  #ok = 0;
  #failed = 0;

  /** `onEnd` must not throw. */
  constructor(onEnd: (end: PushEnd) => void = () => {}) {
    this.#onEnd = onEnd;
  }

  get ok(): number {
    return this.#ok;
  }

  get failed(): number {
    return this.#failed;
  }

  count(end: PushEnd): void {
    if (end.error === undefined && (end.rejected?.items ?? 0) === 0) this.#ok++;
    else this.#failed++;
    this.#onEnd(end);
  }
}
