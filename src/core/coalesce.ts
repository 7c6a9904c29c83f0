/**
 * The function with at most one call running at a time. Who calls while it runs shares the call that begins after it,
 * with all others who do: what a caller gets was always begun after it asked, and however many ask at once, two calls
 * serve them.
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

/** Collects what is said in one turn of the event loop and hands it on together, in order. */
export class Batch<T> {
  readonly #send: (items: readonly T[]) => void;
  #items: T[] = [];

  constructor(send: (items: readonly T[]) => void) {
    this.#send = send;
  }

  add(item: T): void {
    if (this.#items.push(item) === 1) queueMicrotask(() => this.#flush());
  }

  /** Drops what was not handed on. */
  clear(): void {
    this.#items = [];
  }

  #flush(): void {
    const items = this.#items;
    this.#items = [];
    if (items.length > 0) this.#send(items);
  }
}
