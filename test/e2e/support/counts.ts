/** Sums by name; a name that was never added is 0. */
export class Counts {
  readonly #sums = new Map<string, number>();

  add(name: string, amount = 1): void {
    this.#sums.set(name, this.get(name) + amount);
  }

  get(name: string): number {
    return this.#sums.get(name) ?? 0;
  }

  /** Everything that is not zero, ordered by name. */
  toObject(): Readonly<Record<string, number>> {
    const entries = Array.from(this.#sums).filter(([, sum]) => sum !== 0);
    return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }
}
