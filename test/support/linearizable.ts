/** One finished call on one key, between two moments of a clock that all callers share. */
export interface Call {
  readonly start: number;
  readonly end: number;
  readonly label: string;
  /**
   * The key's possible values after the call if it happened at a moment when the key had `value`; [] if its answer was
   * impossible then.
   */
  apply(value: string | undefined): readonly (string | undefined)[];
}

/** What may be the case at one moment: the key's value, and which of the running calls have happened already. */
interface World {
  readonly value: string | undefined;
  readonly happened: ReadonlySet<Call>;
}

/**
 * Whether there is an order of the calls, each at one moment between its start and its end, that explains all answers.
 * Goes through the ends in order with all worlds that are possible, so it takes histories of any length if few calls
 * run at once (Wing and Gong's search, breadth first).
 */
export function isLinearizable(calls: readonly Call[]): boolean {
  let worlds: readonly World[] = [{ value: undefined, happened: new Set() }];
  for (const ending of calls.toSorted((a, b) => a.end - b.end)) {
    const running = calls.filter((call) => call.start < ending.end && call.end >= ending.end);
    worlds = reachable(worlds, running).filter((world) => world.happened.has(ending)).map((world) => ({
      value: world.value,
      happened: new Set([...world.happened].filter((call) => call !== ending)),
    }));
    if (worlds.length === 0) return false;
  }
  return true;
}

/** All worlds that come from these when any of the running calls happen. */
function reachable(worlds: readonly World[], running: readonly Call[]): readonly World[] {
  const known = new Map<string, World>();
  const open = [...worlds];
  for (let world = open.pop(); world !== undefined; world = open.pop()) {
    const { value, happened } = world;
    const name = `${running.map((call) => happened.has(call) ? "1" : "0").join("")} ${value ?? "-"}`;
    if (known.has(name)) continue;
    known.set(name, world);
    for (const call of running.filter((each) => !happened.has(each))) {
      for (const next of call.apply(value)) open.push({ value: next, happened: new Set([...happened, call]) });
    }
  }
  return [...known.values()];
}
