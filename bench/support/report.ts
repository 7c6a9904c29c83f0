import { type BenchCase, type Contender, contenders } from "./cases.ts";

/** Rates of one case by server, one for each round. */
export type CaseRates = ReadonlyMap<Contender, readonly number[]>;

/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle) - 1] ?? 0)) / 2;
}

/** Rows of cells as a table in Markdown, its first row the head. */
export function table(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows.map((cells) => `| ${cells.join(" | ")} |`);
  return [head, `|${"---|".repeat(rows[0]?.length ?? 0)}`, ...body].join("\n");
}

/** Whether a case is measured by its bytes: few large answers are counted too coarsely. */
export function countsBytes({ method, sizeBytes }: BenchCase): boolean {
  return method === "GET" && sizeBytes >= 1024 ** 2;
}

function rateText(bench: BenchCase, rates: readonly number[] | undefined): string {
  if (rates === undefined) return "";
  if (countsBytes(bench)) return `${(median(rates) / 1e9).toFixed(2)} GB/s`;
  if (bench.sizeBytes >= 1024 ** 2) return `${((median(rates) * bench.sizeBytes) / 1e9).toFixed(2)} GB/s`;
  return `${(median(rates) / 1e3).toFixed(1)} k/s`;
}

function ratioRow(
  bench: BenchCase,
  { of, to, atLeast }: BenchCase["aims"][number],
  rates: CaseRates,
): readonly string[] {
  const base = rates.get(to) ?? [];
  // Round by round: both halves of a ratio then saw the same noise.
  const ratios = (rates.get(of) ?? []).map((rate, round) => rate / (base[round] ?? Number.NaN));
  const aim = atLeast === 0 ? "" : `${atLeast} ${median(ratios) >= atLeast ? "reached" : "missed"}`;
  const spread = `${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)}`;
  return [bench.name, `${of} / ${to}`, median(ratios).toFixed(2), spread, aim];
}

/** The ratios and the medians as two tables in Markdown. */
export function report(results: ReadonlyMap<BenchCase, CaseRates>): string {
  const ratios = Array.from(results).flatMap(([bench, rates]) => bench.aims.map((aim) => ratioRow(bench, aim, rates)));
  const medians = Array.from(results).map(([bench, rates]) => [
    bench.name,
    ...contenders.map((contender) => rateText(bench, rates.get(contender))),
  ]);
  return [
    table([["case", "ratio", "median", "from-to", "aim"], ...ratios]),
    table([["case", ...contenders], ...medians]),
  ].join("\n\n");
}
