/**
 * A mixed load at a steady rate for a long time: memory and descriptors stay flat, nothing stays reserved, and the
 * clients' ledger equals /metrics in the end. `bun run e2e:soak [--runtime bun|deno] [--seed N] [--minutes N]
 * [--rate N]`; the rate is in operations a second. The figures in docs/RELIABILITY.md are of 15 minutes.
 */
import { readdirSync, readlinkSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { comparePage } from "./ledger/compare_page.ts";
import { Load } from "./ledger/load.ts";
import { Operations } from "./ledger/operations.ts";
import type { Checks } from "./support/checks.ts";
import { Ledger } from "./support/ledger.ts";
import { suiteOptions } from "./support/options.ts";
import { Random } from "./support/random.ts";
import { runSuite, type SuiteRun } from "./support/run_suite.ts";
import { readStatus, untilStored } from "./support/server_api.ts";
import { ServerProcess } from "./support/server_process.ts";

const options = suiteOptions({ minutes: 2, rate: 600 });
const durationMs = options.number("minutes") * 60_000;
/** What a server takes until its caches and its runtime's heaps are full does not count. */
const warmUpMs = Math.min(180_000, durationMs / 3);
const SLICE_MS = 5000;
const CONNECTIONS = 12;
const MIB = 1024 * 1024;
/** Growth of the memory that is taken for none; a short run ends before the heaps have their size. */
const FLAT = options.number("minutes") >= 15 ? 1.05 : 1.3;
const SPARE_DESCRIPTORS = 4;
const timeoutMs = 60_000;

interface Sample {
  readonly atMs: number;
  readonly bytes: number;
  readonly descriptors: number;
}

const mean = (numbers: readonly number[]): number => numbers.reduce((sum, each) => sum + each, 0) / numbers.length;

/** Sends slices of the load, each at the rate that was asked for, and looks at the process between them. */
async function soak(server: ServerProcess, load: Load, folder: string): Promise<readonly Sample[]> {
  const samples: Sample[] = [];
  const startMs = performance.now();
  for (let atMs = 0; atMs < durationMs; atMs = performance.now() - startMs) {
    await Promise.all([load.run(Math.ceil(options.number("rate") * SLICE_MS / 1000)), wait(SLICE_MS)]);
    samples.push({ atMs, bytes: server.memory().dataBytes, descriptors: descriptorsOf(server, folder) });
    if (samples.length % 12 === 0) console.log(describe(samples.slice(-12)));
  }
  return samples;
}

/** Open descriptors, but for those of the tier's files, which come and go with its segments: at most 64 a thread. */
function descriptorsOf({ pid }: ServerProcess, folder: string): number {
  return readdirSync(`/proc/${pid}/fd`).filter((name) => {
    try {
      return !readlinkSync(`/proc/${pid}/fd/${name}`).startsWith(folder);
    } catch {
      // It was closed meanwhile.
      return false;
    }
  }).length;
}

function describe(samples: readonly Sample[]): string {
  const [first] = samples;
  const mib = mean(samples.map(({ bytes }) => bytes)) / MIB;
  const descriptors = mean(samples.map((sample) => sample.descriptors));
  return `from ${Math.round((first?.atMs ?? 0) / 1000)} s: ${mib.toFixed(1)} MiB, ${
    descriptors.toFixed(1)
  } descriptors`;
}

function checkFlat(samples: readonly Sample[], checks: Checks): void {
  const warm = samples.filter(({ atMs }) => atMs >= warmUpMs);
  const third = Math.ceil(warm.length / 3);
  const [early, late] = [warm.slice(0, third), warm.slice(-third)];
  const told = () => `: ${describe(early)}; ${describe(late)}`;
  console.log(`after the warm-up${told()}`);
  const bytes = (part: readonly Sample[]) => mean(part.map((sample) => sample.bytes));
  const most = (part: readonly Sample[]) => Math.max(...part.map(({ descriptors }) => descriptors));
  checks.that("memory is flat", bytes(late) <= FLAT * bytes(early), told);
  checks.that("descriptors are flat", most(late) <= most(early) + SPARE_DESCRIPTORS, told);
}

await runSuite("soak", options, async ({ runtime, folder, checks }: SuiteRun) => {
  const flags = { workers: "2", "l1-size": "32MiB", l2: `file://${folder}?fsync=off` };
  const server = await ServerProcess.start({ runtime, flags });
  const ledger = new Ledger();
  const operations = new Operations(new Random(options.seed), "whole");
  const load = new Load({ address: server.address, ledger, checks, operations, connections: CONNECTIONS });
  await load.prepare();
  checkFlat(await soak(server, load, folder), checks);
  const client = load.newClient();
  await untilStored(client, timeoutMs);
  await comparePage(client, { ledger, checks, racedHits: load.racedHits, roomy: false });
  const { l1 } = await readStatus(client);
  checks.equal("nothing is reserved", {
    actual: [l1.readLeases, l1.writeLeases, l1.stagingBytes],
    expected: [0, 0, 0],
  });
  const { output } = server;
  checks.that("no worker is replaced", !output.includes("a worker is gone"), () => output.slice(-2000));
  client.close();
  checks.equal("exit code of a graceful stop", { actual: await server.stop(), expected: 0 });
});
