import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { run } from "../../test/e2e/tools/run.ts";
import { freePorts } from "../../test/e2e/tools/free_ports.ts";
import { ToolProcess } from "../../test/e2e/tools/tool_process.ts";
import { cpuSeconds } from "../support/cpu_time.ts";
import { untilOpen } from "../support/port.ts";
import type { Contender, Load, StartOptions } from "./contender.ts";
import { CLIENT_CORE } from "./http_load.ts";

/** Of a first round, whose length hardly matters. */
const firstRate = 1000;

/** A redis-server that keeps nothing on disk, under redis-benchmark. */
export async function startRedis({ prefix, folder, objects }: StartOptions): Promise<Contender> {
  const [port = 0] = await freePorts(1);
  const place = ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no"];
  const [command = "", ...args] = [...prefix, "redis-server", ...place];
  const { pid } = new ToolProcess(command, args);
  await untilOpen(port, "redis-server");
  for (const { path, sizeBytes } of objects) {
    run("redis-cli", ["-p", `${port}`, "-x", "SET", path], { input: "x".repeat(sizeBytes) });
    const stored = Number(run("redis-cli", ["-p", `${port}`, "STRLEN", path]));
    if (stored !== sizeBytes) throw new Error(`SET ${path}: ${stored} bytes`);
  }
  const rates = new Map<string, number>();
  return {
    async measure(load: Load) {
      const requests = Math.ceil((rates.get(load.path) ?? firstRate) * load.seconds);
      const before = cpuSeconds(pid);
      const rate = await runRedisBenchmark(port, load, requests);
      rates.set(load.path, rate);
      return { rate, cpuUs: ((cpuSeconds(pid) - before) * 1e6) / requests };
    },
  };
}

/** Requests a second; redis-benchmark takes a number of requests, not a time. */
async function runRedisBenchmark(port: number, load: Load, requests: number): Promise<number> {
  const { method, path, sizeBytes, keys, connections } = load;
  const test = method === "GET" ? ["GET", path] : ["-t", "set", "-r", `${keys}`, "-d", `${sizeBytes}`];
  const options = ["-p", `${port}`, "-c", `${connections}`, "-n", `${requests}`, "--csv"];
  const command = ["-c", `${CLIENT_CORE}`, "redis-benchmark", ...options, ...test];
  const { stdout } = await promisify(execFile)("taskset", command);
  const rate = Number(/^"[^"]*","(?<rate>[\d.]+)"/m.exec(stdout.trim().split("\n").at(-1) ?? "")?.groups?.["rate"]);
  if (!(rate > 0)) throw new Error(`redis-benchmark: no rate: ${stdout}`);
  return rate;
}
