/** One finished call on one key, between two moments of a logical clock. */
export interface Call {
  readonly start: number;
  readonly end: number;
  readonly label: string;
  /** The key's possible values after the call if it happened at a moment when the key had `value`; [] if its answer was impossible then. */
  apply(value: string | undefined): readonly (string | undefined)[];
}

/** Whether there is an order of the calls, each at one moment between its start and its end, that explains all answers (Wing and Gong's search, with memory). */
export function isLinearizable(calls: readonly Call[]): boolean {
  const seen = new Set<string>();
  const search = (done: number, value: string | undefined): boolean => {
    if (done === 2 ** calls.length - 1) return true;
    const state = `${done} ${value ?? "-"}`;
    if (seen.has(state)) return false;
    seen.add(state);
    const firstEnd = Math.min(...calls.filter((_, index) => (done & (1 << index)) === 0).map((call) => call.end));
    return calls.some((call, index) =>
      (done & (1 << index)) === 0 && call.start < firstEnd &&
      call.apply(value).some((next) => search(done | (1 << index), next))
    );
  };
  return search(0, undefined);
}
