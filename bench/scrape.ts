/**
 * What observability costs main, and how soon it answers: main's processor time for each PUT and GET, and the time of a
 * scrape of the admin port when the server is idle, when its data path is saturated, and when two of three workers
 * hang. `bun bench/scrape.ts [--runtime bun|deno] [--seconds N]`, in the root of the tree that is measured.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { HangingServer } from "../test/e2e/hostile/hanging_server.ts";
import { Client } from "../test/e2e/support/http/client.ts";
import { type RuntimeName, ServerProcess } from "../test/e2e/support/server_process.ts";
import { runWrk } from "./support/wrk.ts";

const { values } = parseArgs({ options: { runtime: { type: "string" }, seconds: { type: "string" } } });
const SECONDS = Number(values.seconds ?? 5);
const PAUSE_MS = 40;
const SCRAPES = 100;
const MS_PER_TICK = 10;

/** Milliseconds of processor time of a process's first thread. */
function mainCpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/task/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}

async function scrape(client: Client): Promise<number> {
  const startMs = performance.now();
  const { status } = await client.request({ method: "GET", path: "/metrics" });
  if (status !== 200) throw new Error(`scrape: ${status}`);
  return performance.now() - startMs;
}

/** Scrapes until the promise is settled, or so often; the median and the 99th percentile. */
async function scrapes(client: Client, end?: Promise<unknown>): Promise<string> {
  const state = { over: false };
  void end?.finally(() => state.over = true);
  const times: number[] = [];
  while (end === undefined ? times.length < SCRAPES : !state.over) {
    times.push(await scrape(client));
    await delay(PAUSE_MS);
  }
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number) => (sorted[Math.floor(part * sorted.length)] ?? 0).toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms (${times.length} scrapes)`;
}

async function measure(runtime: RuntimeName, folder: string): Promise<readonly string[]> {
  const hanging = new HangingServer(join(folder, "tree"));
  const flags = { workers: "3", "l1-size": "512MiB", l2: `file://${join(folder, "tier")}`, "worker-timeout": "5m" };
  const server = await ServerProcess.start({ runtime, flags, program: hanging.program });
  const admin = new Client(server.adminAddress, { record: () => {} });
  const lines: string[] = [];
  const say = (text: string) => lines.push(`${runtime}: ${text}`);
  const load = { port: server.address.port, path: "/v1/objects/k", keys: 4096, sendBytes: 4096, connections: 64 };
  await runWrk({ ...load, method: "PUT", seconds: 2 });
  for (const method of ["PUT", "GET"] as const) {
    const before = mainCpuMs(server.pid);
    const { requests } = await runWrk({ ...load, method, sendBytes: method === "PUT" ? 4096 : 0, seconds: SECONDS });
    const cpuMs = mainCpuMs(server.pid) - before;
    say(`main's processor time for a ${method}: ${(1000 * cpuMs / requests).toFixed(2)} us (${requests} requests)`);
  }
  say(`scrape, idle: ${await scrapes(admin)}`);
  const get = runWrk({ ...load, method: "GET", sendBytes: 0, seconds: SECONDS });
  say(`scrape, GETs at the full rate: ${await scrapes(admin, get)}`);
  const put = runWrk({ ...load, method: "PUT", seconds: SECONDS });
  say(`scrape, PUTs at the full rate: ${await scrapes(admin, put)}`);
  hanging.hang("wait");
  await delay(500);
  say(`scrape, two of three workers hang: ${await scrapes(admin)}`);
  admin.close();
  await server.kill();
  return lines;
}

const runtimes: readonly RuntimeName[] = values.runtime === undefined
  ? ["bun", "deno"]
  : [values.runtime === "deno" ? "deno" : "bun"];
for (const runtime of runtimes) {
  const folder = mkdtempSync(join(tmpdir(), "vitrine-scrape-"));
  try {
    for (const line of await measure(runtime, folder)) process.stdout.write(`${line}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
