/**
 * Vitrine against bare servers and against other caches: each server on one core, the load generator on the other, the
 * servers in turns. The ratio that counts is that of processor time for a request, the least of the rounds: a busy
 * neighbour disturbs it far less than the rate. Then two threads that only hit, against one. `bun run bench [--rounds
 * N] [--seconds N] [--only "GET 4"] [--update]`; --update writes the tables into docs/BENCHMARKS.md and draws
 * docs/images/ratios_*.svg.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";
import { ensureInstalled } from "../test/e2e/tools/debian.ts";
import { type BenchCase, cases, type ContenderName, contenderNames, contendersOf } from "./compare/cases.ts";
import type { Contender, Round } from "./compare/contender.ts";
import { startContenders } from "./compare/contenders.ts";
import { picture, themeNames } from "./compare/picture.ts";
import type { CaseRounds } from "./compare/ratios.ts";
import { allRatios, report, type Results } from "./compare/report.ts";
import { type ThreadHits, threadHits } from "./compare/thread_hits.ts";

const documentPath = "docs/BENCHMARKS.md";
const threadsName = "two threads";
/** The commands that are needed, and Debian's packages they are in. */
const tools = {
  wrk: "wrk",
  nginx: "nginx",
  taskset: "util-linux",
  "redis-server": "redis-server",
  "redis-benchmark": "redis-tools",
  varnishd: "varnish",
  memcached: "memcached",
  memcaslap: "libmemcached-tools",
};

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "7" },
    seconds: { type: "string", default: "3" },
    only: { type: "string", default: "" },
    update: { type: "boolean", default: false },
  },
});
const { only, update } = values;
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
/** Long enough for the runtimes' compilers: after a warm-up of one second, a PUT of 4 KiB took 1.5 times as long. */
const warmUpSeconds = Math.max(4, seconds);

async function measure(bench: BenchCase, servers: ReadonlyMap<ContenderName, Contender>): Promise<CaseRounds> {
  const taking = contendersOf(bench).flatMap((name) => {
    const server = servers.get(name);
    return server === undefined ? [] : [{ name, server, rounds: new Array<Round>() }];
  });
  // Round 0 warms up and is not counted.
  for (let round = 0; round <= rounds; round++) {
    for (const { server, rounds: measured } of taking) {
      const result = await server.measure({ ...bench, seconds: round === 0 ? warmUpSeconds : seconds });
      if (round > 0) measured.push(result);
    }
  }
  return new Map(taking.map(({ name, server, rounds: measured }) => [name, { server, rounds: measured }]));
}

async function measureCases(chosen: readonly BenchCase[]): Promise<Results["cases"]> {
  if (chosen.length === 0) return new Map();
  const folder = mkdtempSync("/dev/shm/vitrine-bench-");
  try {
    const named = new Set(chosen.flatMap(contendersOf));
    const objects = chosen.filter(({ method }) => method === "GET");
    const options = { prefix: ["taskset", "-c", "0"], folder, objects };
    const servers = await startContenders(contenderNames.filter((name) => named.has(name)), options);
    const results = new Map<BenchCase, CaseRounds>();
    for (const bench of chosen) {
      results.set(bench, await measure(bench, servers));
      console.error(`measured: ${bench.name}`);
    }
    return results;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function measureThreads(): Promise<readonly ThreadHits[]> {
  if (!threadsName.startsWith(only)) return [];
  return [...await threadHits("bun", rounds), ...await threadHits("deno", rounds)];
}

async function updateDocument(text: string, results: Results): Promise<void> {
  const marked = /(?<=<!-- bench:start -->\n).*(?=<!-- bench:end -->)/s;
  writeFileSync(documentPath, readFileSync(documentPath, "utf8").replace(marked, () => `\n${text}\n\n`));
  execFileSync("deno", ["fmt", "--quiet", documentPath]);
  for (const theme of themeNames) {
    const svg = await picture(allRatios(results), { threads: results.threads, theme });
    writeFileSync(`docs/images/ratios_${theme}.svg`, `${svg}\n`);
  }
}

if (update && only !== "") throw new Error(`--update: not with --only, the page shows one whole run: ${only}`);
if (cpus().length < 2) throw new Error("bench: needs two cores");
ensureInstalled(tools);
const chosen = cases.filter(({ name }) => name.startsWith(only));
// Nothing else runs beside the threads, which take both cores.
const threads = await measureThreads();
const results = { threads, cases: await measureCases(chosen) };
const load = loadavg()[2]?.toFixed(1);
const date = new Date().toISOString().slice(0, 10);
const machine = `${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores, load average ${load}`;
const text = `${machine}, ${rounds} rounds of ${seconds} s, ${date}\n\n${report(results)}`;
console.log(text);
if (update) await updateDocument(text, results);
process.exit(0);
