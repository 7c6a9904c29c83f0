import type { Checks } from "../support/checks.ts";
import type { Client } from "../support/http/client.ts";
import { inParallel } from "../support/in_parallel.ts";
import { objectPath } from "../support/keys.ts";
import type { ServerProcess } from "../support/server_process.ts";
import type { Collector } from "../tools/collector.ts";
import type { Prometheus } from "../tools/prometheus.ts";
import { compareWays } from "./compare_ways.ts";

/** What the requests and the collector need. */
export interface DisturbanceParts {
  readonly server: ServerProcess;
  readonly client: Client;
  readonly collector: Collector;
  readonly prometheus: Prometheus;
}

/** Longer than a push's interval and its time-out, so that every measurement has pushes in it. */
const measureMs = 1500;
const concurrency = 4;
/** What is aimed at. Shown, not required: the machine is shared, and no test fails by a timing. */
const aimedRatio = 1.1;
const mib = 1024 ** 2;
const mostGrowthBytes = 64 * mib;
/** Until heaps and queues have the size that they keep. */
const warmUpRounds = 2;
const key = "disturbance/small";

const disturbances = ["hung", "killed", "restarted"] as const;
type Condition = "undisturbed" | (typeof disturbances)[number];

function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
}

/** The 99th percentile in milliseconds of small hits, sent one after the other on each of some connections. */
async function measureP99(client: Client): Promise<number> {
  const endMs = performance.now() + measureMs;
  const turns = function* () {
    while (performance.now() < endMs) yield;
  };
  const latencies: number[] = [];
  await inParallel(turns(), concurrency, async () => {
    const startedMs = performance.now();
    const { status } = await client.request({ method: "GET", path: objectPath(key) });
    latencies.push(performance.now() - startedMs);
    if (status !== 200) throw new Error(`disturbance: GET ${key}: ${status}`);
  });
  return quantile(latencies, 0.99);
}

/** One measurement under each condition; the collector is well before and after. `onMeasured` is called after each. */
async function measureRound(
  { client, collector }: DisturbanceParts,
  onMeasured: () => void,
): Promise<Readonly<Record<Condition, number>>> {
  const measure = async () => {
    const p99 = await measureP99(client);
    onMeasured();
    return p99;
  };
  const undisturbed = await measure();
  collector.process.pause();
  const hung = await measure();
  await collector.process.kill();
  const killed = await measure();
  // Not measured while it starts: that takes a whole core for a moment, whatever the server does.
  await collector.restart();
  const restarted = await measure();
  return { undisturbed, hung, killed, restarted };
}

function median(rounds: readonly Readonly<Record<Condition, number>>[], condition: Condition): number {
  return quantile(rounds.map((round) => round[condition]), 0.5);
}

/**
 * The collector hangs, dies and comes back under load: memory stays, and afterwards the numbers are whole; how much
 * longer requests took is told, as the median of all rounds.
 */
export async function checkDisturbance(
  parts: DisturbanceParts,
  { checks, rounds, tell }: { readonly checks: Checks; readonly rounds: number; readonly tell: (what: string) => void },
): Promise<void> {
  const { client, server } = parts;
  await client.request({ method: "PUT", path: objectPath(key), body: new Uint8Array(4096) });
  for (let i = 0; i < warmUpRounds; i++) await measureRound(parts, () => {});
  const memoryBytes: number[] = [];
  const measured: Readonly<Record<Condition, number>>[] = [];
  const ratio = (condition: Condition) => median(measured, condition) / median(measured, "undisturbed");
  while (measured.length < rounds) {
    measured.push(await measureRound(parts, () => memoryBytes.push(server.memory().dataBytes)));
  }
  for (const condition of disturbances) {
    const p99 = median(measured, condition).toFixed(3);
    tell(`p99 with the collector ${condition}: ${p99} ms, ratio ${ratio(condition).toFixed(2)} (aim ${aimedRatio})`);
  }
  const shown = memoryBytes.map((bytes) => Math.round(bytes / mib)).join(" ");
  tell(`memory after each measurement, MiB: ${shown}`);
  // Garbage comes and goes: the middle of the later half must not lie above that of the earlier one.
  const half = Math.ceil(memoryBytes.length / 2);
  const growth = quantile(memoryBytes.slice(half), 0.5) - quantile(memoryBytes.slice(0, half), 0.5);
  checks.that("memory stays flat", growth <= mostGrowthBytes, () => shown);
  await compareWays("recovered", parts.prometheus, checks);
}
