/**
 * Wraps a function so that at most one run is in progress. Calls made during a run share the next one. So every caller
 * gets a run that began after its call, and two runs serve any number of simultaneous calls.
 */
export function shareRuns<T>(run: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  let next: Promise<T> | undefined;
  const begin = (): Promise<T> => {
    const begun = run().finally(() => {
      if (running === begun) running = undefined;
    });
    next = undefined;
    running = begun;
    return begun;
  };
  return () => {
    if (next !== undefined) return next;
    if (running === undefined) return begin();
    next = running.then(begin, begin);
    return next;
  };
}

/** Collects items during one turn of the event loop and sends them together, in order. */
export class Batch<T> {
  readonly #send: (items: readonly T[]) => void;
  #items: T[] = [];

  constructor(send: (items: readonly T[]) => void) {
    this.#send = send;
  }

  add(item: T): void {
    if (this.#items.push(item) === 1) queueMicrotask(() => this.#flush());
  }

  /** Drops the items that have not been sent. */
  clear(): void {
    this.#items = [];
  }

  #flush(): void {
    const items = this.#items;
    this.#items = [];
    if (items.length > 0) this.#send(items);
  }
}
