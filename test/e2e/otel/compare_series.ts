import type { PromSeries } from "../tools/prometheus.ts";

/** Series that cannot be the same on both ways, each with the reason. */
export const waivers: readonly { readonly series: RegExp; readonly reason: string }[] = [
  { series: /^(?:up|scrape_\w+)\{/, reason: "Prometheus makes them itself, for each target" },
  { series: /^target_info\{/, reason: "a description of the target, of which each way makes its own" },
  { series: /^http_server_active_requests\{/, reason: "a scrape of the server is a request and sees itself" },
];

/**
 * Job and instance tell the two ways apart; all else must be the same. Bucket bounds are the same number: Go writes
 * 5e-05 where JavaScript writes 0.00005, and Prometheus makes them alike from its version 3 on.
 */
function identity(labels: PromSeries["labels"]): string {
  const pairs = Object.entries(labels).filter(([label]) => !["__name__", "job", "instance"].includes(label))
    .map(([label, value]) => `${label}="${label === "le" ? Number(value.replace("Inf", "Infinity")) : value}"`);
  return `${labels["__name__"]}{${pairs.toSorted().join()}}`;
}

function byIdentity(all: readonly PromSeries[]): ReadonlyMap<string, readonly number[]> {
  const found = all.map(({ labels, values }) => [identity(labels), values] as const);
  return new Map(found.filter(([name]) => !waivers.some(({ series }) => series.test(name))));
}

/** What a comparison of two ways found. */
export interface SeriesComparison {
  readonly pulledOnly: readonly string[];
  readonly pushedOnly: readonly string[];
  /** Series whose pushed value lies outside of what was pulled around it. */
  readonly different: readonly string[];
  /** Series that stood still, whose values were therefore compared exactly. */
  readonly exact: number;
  /** Series that moved on by themselves meanwhile. */
  readonly moving: readonly string[];
}

/**
 * Compares pulled with pushed series. `pulled` holds the samples of some seconds, `pushed` the last one, which shows
 * the server as it was within these seconds: it must lie between the smallest and the largest that was pulled. For a
 * series that stands still that is exact.
 */
export function compareSeries(pulled: readonly PromSeries[], pushed: readonly PromSeries[]): SeriesComparison {
  const ours = byIdentity(pulled);
  const theirs = byIdentity(pushed);
  const both = Array.from(ours).filter(([name]) => theirs.has(name));
  const isStill = (values: readonly number[]) => values.every((value) => value === values[0]);
  return {
    pulledOnly: [...ours.keys()].filter((name) => !theirs.has(name)),
    pushedOnly: [...theirs.keys()].filter((name) => !ours.has(name)),
    different: both.flatMap(([name, values]) => {
      const value = theirs.get(name)?.at(-1) ?? Number.NaN;
      const isWithin = value >= Math.min(...values) && value <= Math.max(...values);
      return isWithin ? [] : [`${name}: pushed ${value}, pulled ${values.join(" ")}`];
    }),
    exact: both.filter(([, values]) => isStill(values)).length,
    moving: both.filter(([, values]) => !isStill(values)).map(([name]) => name),
  };
}
