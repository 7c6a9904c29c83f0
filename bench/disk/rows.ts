import { median } from "../support/report.ts";
import type { Row } from "./disk_part.ts";

/** The aim of a ratio or a figure. */
export interface Aim {
  readonly text: string;
  readonly reached: (value: number) => boolean;
}

/** The head of the table. */
export const HEAD: Row = ["case", "runtime", "first", "second", "ratio", "from-to", "aim", "load generator"];

/** The aim of a value that should be large. */
export function atLeast(least: number): Aim {
  return { text: `at least ${least}`, reached: (value) => value >= least };
}

/** The aim of a value that should be small. */
export function atMost(most: number): Aim {
  return { text: `at most ${most}`, reached: (value) => value <= most };
}

function verdict(aim: Aim | undefined, value: number): string {
  return aim === undefined ? "" : `${aim.text}: ${aim.reached(value) ? "met" : "**missed**"}`;
}

/** The median of the cores that the load generator took. */
export function coresText(cores: readonly number[]): string {
  return cores.length === 0 ? "" : `${median(cores).toFixed(2)} cores`;
}

/**
 * A row about two values that were measured in turns; the ratio is first / second, turn by turn: both halves then saw
 * the same noise.
 */
export function ratioRow(
  name: string,
  runtime: string,
  { pairs, text, aim, generator = "" }: {
    readonly pairs: readonly (readonly [number, number])[];
    readonly text: (value: number) => string;
    readonly aim?: Aim | undefined;
    readonly generator?: string;
  },
): Row {
  const ratios = pairs.map(([first, second]) => first / second);
  const ratio = median(ratios);
  const medians = [0, 1].map((side) => text(median(pairs.map((pair) => pair[side] ?? Number.NaN))));
  const spread = `${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)}`;
  return [name, runtime, ...medians, ratio.toFixed(2), spread, verdict(aim, ratio), generator];
}

/** A row about one figure. */
export function valueRow(
  name: string,
  runtime: string,
  { value, text, aim }: { readonly value: number; readonly text: (value: number) => string; readonly aim?: Aim },
): Row {
  return [name, runtime, text(value), "", "", "", verdict(aim, value), ""];
}

/** A row that says why something was not measured. */
export function missingRow(name: string, runtime: string, why: string): Row {
  return [name, runtime, "", "", "", "", `**not measured**: ${why.replaceAll(/[\n|]+/g, " ").slice(0, 200)}`, ""];
}

export const perSecond = (value: number): string =>
  value < 1e3 ? `${value.toFixed(0)} /s` : `${(value / 1e3).toFixed(1)} k/s`;
/** Of a number of seconds. */
export const microseconds = (value: number): string => `${(value * 1e6).toFixed(0)} us`;
export const milliseconds = (value: number): string => `${value.toFixed(value < 10 ? 2 : 0)} ms`;
export const bytesPerSecond = (value: number): string => `${(value / 1e6).toFixed(0)} MB/s`;
export const seconds = (value: number): string => `${value.toFixed(2)} s`;
