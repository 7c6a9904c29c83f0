/**
 * The time from the start of a process to its first answer, once everything is installed, and the processor time that
 * it has taken by then: `bun bench/start.ts [--rounds N]`. The bare servers of the other benchmarks for comparison.
 * Absolute times depend on the machine and its other load, which is printed. Builds the package anew.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type RuntimeName, ServerProcess } from "../test/e2e/support/server_process.ts";
import { cpuSeconds } from "./support/cpu_time.ts";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "10" } } });

interface Started {
  readonly pid: number;
  readonly url: string;
  stop(): Promise<unknown>;
}

const PROGRAMS = { source: "src/main.ts", package: "build/package/server/main.js" } as const;

async function startVitrine(
  runtime: RuntimeName,
  program: string,
  flags: Readonly<Record<string, string>>,
): Promise<Started> {
  const server = await ServerProcess.start({ runtime, program, flags: { "l1-size": "64MiB", ...flags } });
  const { host, port } = server.address;
  return { pid: server.pid, url: `http://${host}:${port}/v1/objects/none`, stop: () => server.stop() };
}

async function startBare(runtime: RuntimeName): Promise<Started> {
  const run = runtime === "bun" ? [] : ["run", "--allow-all", "--no-check"];
  const child = spawn(runtime, [...run, "bench/support/bare_server.ts"], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(child.stdout, "data");
  const port = /:(\d+)\s*$/.exec(String(line))?.[1];
  const stop = async () => {
    child.kill();
    await once(child, "exit");
  };
  return { pid: child.pid ?? 0, url: `http://127.0.0.1:${port}/`, stop };
}

execFileSync("bun", ["run", "build"], { stdio: "inherit" });
const folder = mkdtempSync(join(tmpdir(), "vitrine-start-"));
const starts = (["bun", "deno"] as const).flatMap((runtime) => [
  { name: `bare ${runtime}`, start: () => startBare(runtime) },
  ...Object.entries(PROGRAMS).flatMap(([name, program]) => [
    {
      name: `vitrine on ${runtime}, ${name}, one worker, no tier`,
      start: () => startVitrine(runtime, program, { workers: "1", l2: "none" }),
    },
    {
      name: `vitrine on ${runtime}, ${name}, two workers, file tier`,
      start: () => startVitrine(runtime, program, { workers: "2", l2: `file://${join(folder, runtime + name)}` }),
    },
  ]),
]);

const times = new Map(starts.map(({ name }) => [name, { wallMs: new Array<number>(), cpuMs: new Array<number>() }]));
try {
  // Round 0 fills the caches and is not counted.
  for (let round = 0; round <= Number(values.rounds); round++) {
    for (const { name, start } of starts) {
      const beganMs = performance.now();
      const started = await start();
      await (await fetch(started.url)).arrayBuffer();
      const wallMs = performance.now() - beganMs;
      const cpuMs = 1000 * cpuSeconds(started.pid);
      await started.stop();
      if (round === 0) continue;
      times.get(name)?.wallMs.push(wallMs);
      times.get(name)?.cpuMs.push(cpuMs);
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
const least = (all: readonly number[]) => Math.round(Math.min(...all));
const median = (all: readonly number[]) => Math.round(all.toSorted((a, b) => a - b)[all.length >> 1] ?? 0);
console.log(`${cpus()[0]?.model}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}, ${values.rounds} rounds\n`);
console.log("| | to the first answer, least / median | processor time, least |\n|---|---|---|");
for (const [name, { wallMs, cpuMs }] of times) {
  console.log(`| ${name} | ${least(wallMs)} / ${median(wallMs)} ms | ${least(cpuMs)} ms |`);
}
