import type { Clock } from "../../core/clock.ts";
import { SharedText } from "../../core/threads.ts";
import type { StorageStatus } from "../../storage/storage.ts";

type Tiers = StorageStatus["l2"];

/** What one thread reports: its tiers, and the monotonic time at which it looked. */
interface Report {
  readonly atMs: number;
  readonly tiers: Tiers;
}

const CAPACITY_BYTES = 1 << 16;

/** Memory for the reports of one thread. */
export function allocateReports(): SharedArrayBuffer {
  return SharedText.allocate(CAPACITY_BYTES);
}

/** A thread's end: writes how its tiers are where main reads it, without a message. */
export class TierReporter {
  readonly #text: SharedText;
  readonly #clock: Clock;

  constructor(memory: SharedArrayBuffer, clock: Clock) {
    this.#text = new SharedText(memory);
    this.#clock = clock;
  }

  report(tiers: Tiers): void {
    const report: Report = { atMs: this.#clock.monotonicMs(), tiers };
    this.#text.write(JSON.stringify(report));
  }
}

/** Main's end: the tiers as a thread reported them last; undefined before its first report. */
export function readReport(memory: SharedArrayBuffer, clock: Clock): Tiers | undefined {
  const text = new SharedText(memory).read();
  if (text === "") return undefined;
  const { atMs, tiers } = parseReport(text);
  const sinceSeconds = Math.max(0, clock.monotonicMs() - atMs) / 1000;
  return tiers.map((tier) => {
    const { objects = 0, oldestAgeSeconds } = tier;
    return objects === 0 || oldestAgeSeconds === undefined
      ? tier
      : { ...tier, oldestAgeSeconds: oldestAgeSeconds + sinceSeconds };
  });
}

function parseReport(json: string): Report {
  return JSON.parse(json);
}
