import type { RuntimeName } from "../../test/e2e/support/server_process.ts";
import type { Aim, BenchCase, ContenderName } from "./cases.ts";
import type { Contender, Round } from "./contender.ts";

/** The rounds of one case: a server, and what each of its rounds showed. */
export type CaseRounds = ReadonlyMap<ContenderName, { readonly server: Contender; readonly rounds: readonly Round[] }>;

/** One ratio that was looked at; above 1, Vitrine takes less. */
export interface Ratio {
  readonly caseName: string;
  readonly runtime: RuntimeName;
  readonly of: string;
  readonly to: string;
  /** By the least processor time for a request of all rounds; NaN: not measured. */
  readonly byCpu: number;
  /** The same ratio of the bare server, where it says something. */
  readonly ofBare: number | undefined;
  readonly atLeast: number | undefined;
  readonly verdict: Verdict;
  /** Why it is missed, if that is known. */
  readonly why: string | undefined;
  /** By rate, round by round: both halves then saw the same noise. */
  readonly byRate: readonly number[];
}

/** "not shown": missed against a server that stands in for the one of the aim. */
export type Verdict = "" | "reached" | "missed" | "not shown" | "not measured";

/** The least processor time for a request: what neighbours disturb least. */
export function leastCpuUs(rounds: readonly Round[] = []): number {
  return rounds.length === 0 ? Number.NaN : Math.min(...rounds.map(({ cpuUs }) => cpuUs));
}

/** The ratios of one case. */
export function ratiosOf({ name, aims }: BenchCase, measured: CaseRounds): readonly Ratio[] {
  return aims.map((aim) => ratioOf(name, aim, measured));
}

function ratioOf(caseName: string, aim: Aim, measured: CaseRounds): Ratio {
  const { runtime, of, to, bare, ofBare = false, why } = aim;
  const cpuUs = (server: ContenderName) => leastCpuUs(measured.get(server)?.rounds);
  const byCpu = cpuUs(to) / cpuUs(of);
  const bareRatio = bare === undefined ? undefined : cpuUs(to) / cpuUs(bare);
  const atLeast = aim.atLeast === undefined ? undefined : aim.atLeast * (ofBare ? bareRatio ?? Number.NaN : 1);
  const base = measured.get(to);
  const standsInFor = base?.server.standsInFor;
  const byRate = (measured.get(of)?.rounds ?? [])
    .flatMap(({ rate }, round) => base?.rounds[round] === undefined ? [] : [rate / base.rounds[round].rate]);
  return {
    caseName,
    runtime,
    of,
    to: standsInFor === undefined ? to : `a stand-in for ${standsInFor}`,
    byCpu,
    ofBare: bareRatio,
    atLeast,
    verdict: verdictOf(byCpu, atLeast, standsInFor !== undefined),
    why,
    byRate,
  };
}

function verdictOf(ratio: number, atLeast: number | undefined, isStandIn: boolean): Verdict {
  if (Number.isNaN(ratio)) return "not measured";
  if (atLeast === undefined) return "";
  if (ratio >= atLeast) return "reached";
  return isStandIn ? "not shown" : "missed";
}
