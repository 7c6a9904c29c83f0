import { createHash } from "node:crypto";
import { once } from "node:events";
import { spawn } from "node:child_process";
import process from "node:process";
import { type RuntimeName, ServerProcess } from "../../test/e2e/support/server_process.ts";
import { startPeer } from "../disk/peer.ts";
import type { BareAnswers } from "../support/bare_handler.ts";
import type { ContenderName } from "./cases.ts";
import type { Contender, StartOptions } from "./contender.ts";
import { overHttp } from "./http_load.ts";
import { startMemcached } from "./memcached.ts";
import { startNginx } from "./nginx.ts";
import { startRedis } from "./redis.ts";
import { startVarnish } from "./varnish.ts";
import { startVitrine } from "./vitrine.ts";

const bothCores = ["taskset", "-c", "0,1"];
/** The objects that every server has; the larger ones are read from some alone. */
const smallBytes = 4096;
const middleBytes = 1024 ** 2;

/**
 * Starts the servers that are named, all with their objects; one that cannot be had is missing. They end with this
 * process.
 */
export async function startContenders(
  names: readonly ContenderName[],
  options: StartOptions,
): Promise<ReadonlyMap<ContenderName, Contender>> {
  const { prefix, objects } = options;
  const upTo = (bytes: number) => objects.filter(({ sizeBytes }) => sizeBytes <= bytes);
  const small = { prefix, objects: upTo(smallBytes) };
  const middle = { ...options, objects: upTo(middleBytes) };
  const [onBun, nginx] = [await startVitrine({ ...options, runtime: "bun" }), await startNginx(options)];
  const unobserved = { ...small, flags: { observability: "off" } };
  const twoWorkers = { ...small, prefix: bothCores, flags: { workers: "2" } };
  const starters: Readonly<Record<ContenderName, () => Promise<Contender | undefined> | Contender>> = {
    "vitrine on bun": () => onBun,
    "vitrine on deno": () => startVitrine({ ...options, runtime: "deno" }),
    "bare Bun.serve": () => startBare("bun", prefix, onBun.answers),
    "bare Deno.serve": () => startBare("deno", prefix, onBun.answers),
    "with a token on bun": () => startVitrine({ ...small, runtime: "bun", withToken: true }),
    "with a token on deno": () => startVitrine({ ...small, runtime: "deno", withToken: true }),
    "without observability on bun": () => startVitrine({ ...unobserved, runtime: "bun" }),
    "without observability on deno": () => startVitrine({ ...unobserved, runtime: "deno" }),
    "two workers on bun": () => startVitrine({ ...twoWorkers, runtime: "bun" }),
    "two workers on deno": () => startVitrine({ ...twoWorkers, runtime: "deno" }),
    "two threads of Bun.serve": () => startBareThreads("bun"),
    "two threads of Deno.serve": () => startBareThreads("deno"),
    nginx: () => overHttp(nginx),
    "redis-server": () => startRedis(middle),
    "bazel-remote": () => startBazelRemote(middle),
    varnish: () => startVarnish(middle, nginx.port),
    memcached: () => startMemcached(middle),
  };
  const started = new Map<ContenderName, Contender>();
  for (const name of names) {
    const contender = await starters[name]();
    if (contender !== undefined) started.set(name, contender);
  }
  return started;
}

async function startBare(runtime: RuntimeName, prefix: readonly string[], answers: BareAnswers): Promise<Contender> {
  const script = new URL("../support/bare_server.ts", import.meta.url).pathname;
  const run = runtime === "bun" ? ["bun"] : ["deno", "run", "--allow-all", "--no-check"];
  const [command, ...args] = [...prefix, ...run, script, JSON.stringify(answers)];
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  process.once("exit", () => child.kill("SIGKILL"));
  const [line] = await once(child.stdout, "data");
  return overHttp({ port: Number(/:(\d+)\s*$/.exec(String(line))?.[1]), pid: child.pid ?? 0 });
}

/** A bare server of two threads on one port, on both cores. */
async function startBareThreads(runtime: RuntimeName): Promise<Contender> {
  const program = "bench/support/bare_workers.ts";
  const { address, pid } = await ServerProcess.start({ runtime, flags: { workers: "2" }, prefix: bothCores, program });
  return overHttp({ port: address.port, pid });
}

async function startBazelRemote({ prefix, folder, objects }: StartOptions): Promise<Contender | undefined> {
  const { name, port, pid, path: base, isStandIn } = await startPeer(`${folder}/peer`, prefix);
  if (port === undefined) return undefined;
  const pathOf = (path: string) => base + createHash("sha256").update(path).digest("hex");
  for (const { path, sizeBytes } of objects) {
    const url = `http://127.0.0.1:${port}${pathOf(path)}`;
    const { ok, status } = await fetch(url, { method: "PUT", body: new Uint8Array(sizeBytes).fill(120) });
    if (!ok) throw new Error(`PUT ${path}: ${name}: ${status}`);
    const { byteLength } = await (await fetch(url)).arrayBuffer();
    if (byteLength !== sizeBytes) throw new Error(`GET ${path}: ${name}: ${byteLength} bytes`);
  }
  return { ...overHttp({ port, pid, pathOf }), ...(isStandIn ? { standsInFor: "bazel-remote" } : {}) };
}
