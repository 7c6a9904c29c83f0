/**
 * What workers and observability cost a hit of 4 KiB: processor time a request with two workers and with one;
 * throughput of one core with events and metrics on and off. `bun run bench:workers [--rounds N] [--seconds N]
 * [--update]`; --update writes the table into docs/BENCHMARKS.md.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";
import { type RuntimeName, ServerProcess } from "../test/e2e/support/server_process.ts";
import { cpuSeconds } from "./support/cpu_time.ts";
import { median, table } from "./support/report.ts";
import { ensureTools } from "./support/tools.ts";
import { type LoadResult, runWrk } from "./support/wrk.ts";

const documentPath = "docs/BENCHMARKS.md";
const clientCore = 1;
const path = "/v1/objects/get-4k";
const sizeBytes = 4096;

const { values } = parseArgs({
  options: {
    // Short turns, many of them: the speed of a shared machine drifts within seconds.
    rounds: { type: "string", default: "21" },
    seconds: { type: "string", default: "1" },
    update: { type: "boolean", default: false },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);

/** Two servers that differ in one setting, and what of them is compared. */
interface Comparison {
  readonly name: string;
  readonly flags: readonly [Readonly<Record<string, string>>, Readonly<Record<string, string>>];
  /** Default: Vitrine. */
  readonly program?: string;
  /** The cores of the server's threads, as taskset takes them. */
  readonly cores: string;
  readonly valueOf: (result: LoadResult, cpuSeconds: number) => number;
  readonly text: (value: number) => string;
  /** Default: it is there to compare with. */
  readonly aim?: { readonly text: string; readonly reached: (ratio: number) => boolean };
}

const microseconds: Pick<Comparison, "valueOf" | "text"> = {
  valueOf: ({ requests }, taken) => (1e6 * taken) / requests,
  text: (value) => `${value.toFixed(1)} us`,
};

const comparisons: readonly Comparison[] = [
  {
    name: "processor time a request, two workers / one",
    flags: [{ workers: "2" }, { workers: "1" }],
    cores: "0,1",
    ...microseconds,
    aim: { text: "at most 1.1", reached: (ratio) => ratio <= 1.1 },
  },
  {
    name: "the same of a bare server",
    flags: [{ workers: "2" }, { workers: "1" }],
    program: "bench/support/bare_workers.ts",
    cores: "0,1",
    ...microseconds,
  },
  {
    name: "requests a second on one core, observability on / off",
    flags: [{ workers: "1" }, { workers: "1", observability: "off" }],
    cores: "0",
    valueOf: ({ requestsPerSecond }) => requestsPerSecond,
    text: (value) => `${(value / 1e3).toFixed(1)} k/s`,
    aim: { text: "at least 0.92", reached: (ratio) => ratio >= 0.92 },
  },
];

/** The two servers of a comparison; both have the object. */
async function startServers(
  runtime: RuntimeName,
  { flags, program, cores }: Comparison,
): Promise<readonly [ServerProcess, ServerProcess]> {
  const start = async (differing: Readonly<Record<string, string>>) => {
    const all = { "l1-size": "256MiB", l2: "none", ...differing };
    const prefix = ["taskset", "-c", cores];
    const server = await ServerProcess.start({
      runtime,
      flags: all,
      prefix,
      ...(program === undefined ? {} : { program }),
    });
    const url = `http://127.0.0.1:${server.address.port}${path}`;
    const { ok, status } = await fetch(url, { method: "PUT", body: new Uint8Array(sizeBytes).fill(120) });
    if (!ok) throw new Error(`PUT ${path}: ${status}`);
    return server;
  };
  return [await start(flags[0]), await start(flags[1])];
}

async function measure(server: ServerProcess, { valueOf }: Comparison): Promise<number> {
  const before = cpuSeconds(server.pid);
  const load = { port: server.address.port, method: "GET", path, keys: 0, sendBytes: 0, connections: 32 } as const;
  const result = await runWrk({ ...load, seconds }, clientCore);
  return valueOf(result, cpuSeconds(server.pid) - before);
}

/** One row: both values' medians, and the median of their ratio round by round, which saw the same noise. */
async function compare(runtime: RuntimeName, comparison: Comparison): Promise<readonly string[]> {
  const { name, text, aim } = comparison;
  const servers = await startServers(runtime, comparison);
  const pairs: (readonly [number, number])[] = [];
  // Round 0 warms up and is not counted.
  for (let round = 0; round <= rounds; round++) {
    const pair = [await measure(servers[0], comparison), await measure(servers[1], comparison)] as const;
    if (round > 0) pairs.push(pair);
  }
  for (const server of servers) await server.stop();
  const ratios = pairs.map(([first, second]) => first / second);
  const ratio = median(ratios);
  const spread = `${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)}`;
  const medians = [0, 1].map((index) => text(median(pairs.map((pair) => pair[index] ?? Number.NaN))));
  const verdict = aim === undefined ? "" : `${aim.text}: ${aim.reached(ratio) ? "reached" : "missed"}`;
  return [name, runtime, ...medians, ratio.toFixed(2), spread, verdict];
}

function updateDocument(text: string): void {
  const marked = /(?<=<!-- bench:workers:start -->\n).*(?=<!-- bench:workers:end -->)/s;
  writeFileSync(documentPath, readFileSync(documentPath, "utf8").replace(marked, () => `\n${text}\n\n`));
}

ensureTools();
if (cpus().length < 2) throw new Error("bench: needs two cores");
const rows: (readonly string[])[] = [["case", "runtime", "first", "second", "ratio", "from-to", "aim"]];
for (const comparison of comparisons) {
  for (const runtime of ["bun", "deno"] as const) rows.push(await compare(runtime, comparison));
}
const date = new Date().toISOString().slice(0, 10);
const machine = `${cpus()[0]?.model ?? "unknown processor"}, ${rounds} rounds of ${seconds} s, ${date}`;
const text = `${machine}\n\n${table(rows)}`;
console.log(text);
if (values.update) updateDocument(text);
process.exit(0);
