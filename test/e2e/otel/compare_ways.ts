import type { Checks } from "../support/checks.ts";
import { until } from "../support/until.ts";
import { jobs, type Prometheus } from "../tools/prometheus.ts";
import { compareSeries, type SeriesComparison } from "./compare_series.ts";

/** Samples of so many seconds: a push each second, and a scrape of it each second. */
const settleSeconds = 4;
/**
 * So many series stand still for each that moves. An idle server has about 820, of which some 60 move: its processor
 * time and the histograms of the scrapes themselves.
 */
const STILL_FOR_EACH_MOVING = 5;

async function compare(prometheus: Prometheus): Promise<SeriesComparison> {
  const [pulled, pushed] = await Promise.all(
    // What rules make of the series is not theirs.
    [jobs.pulled, jobs.pushed].map((job) =>
      prometheus.query(`{job="${job}",__name__!~"ALERTS.*|.*:.*"}[${settleSeconds}s]`)
    ),
  );
  return compareSeries(pulled ?? [], pushed ?? []);
}

/** Nothing different, and enough that stood still for the comparison to mean something. */
function isGood({ pulledOnly, pushedOnly, different, exact, moving }: SeriesComparison): boolean {
  return pulledOnly.length + pushedOnly.length + different.length === 0 &&
    exact > STILL_FOR_EACH_MOVING * moving.length;
}

/**
 * Waits until Prometheus holds the same series with the same values from the server's own page and from the Collector.
 */
export async function compareWays(when: string, prometheus: Prometheus, checks: Checks): Promise<void> {
  const found = await until(() => compare(prometheus), isGood, { timeoutMs: 90_000, everyMs: 500 });
  const { exact, moving, ...wrong } = found;
  checks.equal(`${when}: series pulled and pushed`, {
    actual: wrong,
    expected: { pulledOnly: [], pushedOnly: [], different: [] },
  });
  checks.that(
    `${when}: most series stand still`,
    exact > STILL_FOR_EACH_MOVING * moving.length,
    () => `${exact}; moving: ${moving.join("\n")}`,
  );
  console.log(`${when}: ${exact} series equal, ${moving.length} more within what was pulled around them`);
}
