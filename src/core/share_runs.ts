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
