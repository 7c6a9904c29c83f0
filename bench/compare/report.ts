import { median, table } from "../support/report.ts";
import { type BenchCase, contenderNames } from "./cases.ts";
import type { Round } from "./contender.ts";
import { type CaseRounds, leastCpuUs, type Ratio, ratiosOf } from "./ratios.ts";
import type { ThreadHits } from "./thread_hits.ts";

const mib = 1024 ** 2;

/** What a run measured. */
export interface Results {
  readonly cases: ReadonlyMap<BenchCase, CaseRounds>;
  readonly threads: readonly ThreadHits[];
}

/** All ratios of a run. */
export function allRatios({ cases }: Results): readonly Ratio[] {
  return Array.from(cases).flatMap(([bench, rounds]) => ratiosOf(bench, rounds));
}

/** The ratios, why those that are missed are, what threads give, and rates and processor times, in Markdown. */
export function report(results: Results): string {
  const ratios = allRatios(results);
  const parts = [
    ratios.length === 0 ? "" : table([ratioHead, ...ratios.map(ratioRow)]),
    missedText(ratios),
    results.threads.length === 0 ? "" : table([threadHead, ...results.threads.map(threadRow)]),
    ratios.length === 0 ? "" : table([roundsHead, ...Array.from(results.cases).flatMap(roundsRows)]),
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

const ratioHead = ["case", "ratio", "by CPU time", "bare server", "aim", "by rate"];

function ratioRow({ caseName, of, to, byCpu, ofBare, atLeast, verdict, byRate }: Ratio): readonly string[] {
  const aim = atLeast === undefined ? verdict : `${number(atLeast)}: ${marked(verdict)}`;
  if (Number.isNaN(byCpu)) return [caseName, `${of} / ${to}`, "", "", aim, ""];
  const spread = `${number(median(byRate))} (${number(Math.min(...byRate))}-${number(Math.max(...byRate))})`;
  return [caseName, `${of} / ${to}`, number(byCpu), ofBare === undefined ? "" : number(ofBare), aim, spread];
}

/** A line for each aim that is missed for a known reason. */
function missedText(ratios: readonly Ratio[]): string {
  return ratios.filter(({ verdict }) => verdict === "missed").flatMap((ratio) => {
    const { caseName, of, to, atLeast = 0, ofBare = atLeast, why } = ratio;
    const bare = ofBare < atLeast ? [`the bare server itself reaches only ${number(ofBare)}`] : [];
    const reasons = [...bare, ...(why === undefined ? [] : [why])];
    return reasons.length === 0 ? [] : [`- ${caseName}, ${of} / ${to} misses its aim: ${reasons.join("; ")}.`];
  }).join("\n");
}

const threadHead = ["threads that only hit, two / one", "runtime", "one", "two", "by rate", "by CPU time", "aim"];

function threadRow({ name, runtime, one, two, byRate, byCpu, atLeast }: ThreadHits): readonly string[] {
  const aim = `${atLeast}: ${marked(byRate >= atLeast ? "reached" : "missed")}`;
  return [name, runtime, `${number(one / 1e6)} M/s`, `${number(two / 1e6)} M/s`, number(byRate), number(byCpu), aim];
}

const roundsHead = ["case", "server", "median rate", "least CPU time a request"];

function roundsRows([bench, measured]: readonly [BenchCase, CaseRounds]): readonly (readonly string[])[] {
  return contenderNames.flatMap((name) => {
    const found = measured.get(name);
    if (found === undefined) return [];
    const { server: { standsInFor }, rounds } = found;
    const server = standsInFor === undefined ? name : `a stand-in for ${standsInFor}`;
    return [[bench.name, server, rateText(bench, rounds), `${leastCpuUs(rounds).toFixed(1)} us`]];
  });
}

function rateText({ sizeBytes }: BenchCase, rounds: readonly Round[]): string {
  const rate = median(rounds.map((round) => round.rate));
  return sizeBytes >= mib ? `${number((rate * sizeBytes) / 1e9)} GB/s` : `${(rate / 1e3).toFixed(1)} k/s`;
}

function marked(verdict: string): string {
  return verdict === "missed" ? `**${verdict}**` : verdict;
}

function number(value: number): string {
  return value.toFixed(2);
}
