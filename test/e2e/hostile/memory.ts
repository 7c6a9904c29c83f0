import { pattern } from "../../http/contract_client.ts";
import { Connection } from "../support/http/connection.ts";
import { inParallel } from "../support/in_parallel.ts";
import { Random } from "../support/random.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { type RuntimeName, ServerProcess } from "../support/server_process.ts";
import type { HostileCase } from "./hostile_case.ts";

const MIB = 1024 * 1024;
const L1_BYTES = 16 * MIB;
const REQUESTS = 3000;
const CLIENTS = 6;

/** The bounds of docs/RUNTIMES.md: bytes beyond a full L1, for the process and for each worker. */
const BOUNDS: Readonly<Record<RuntimeName, { readonly process: number; readonly worker: number }>> = {
  bun: { process: 128 * MIB, worker: 64 * MIB },
  deno: { process: 96 * MIB, worker: 64 * MIB },
};

/**
 * Small and middle objects, written, read, in part too, and deleted, over connections that stay and some that do not.
 */
async function mixedLoad(server: ServerProcess): Promise<void> {
  const random = new Random(8);
  const bytes = pattern(2 * MIB);
  const idle: Connection[] = [];
  await inParallel(Array.from({ length: REQUESTS }, (_, i) => i), CLIENTS, async (i) => {
    const connection = idle.pop() ?? await Connection.open(server.address);
    const path = `/v1/objects/k${random.below(1000)}`;
    const method = ["PUT", "PUT", "GET", "GET", "GET", "DELETE"][random.below(6)] ?? "GET";
    const body = method === "PUT" ? { body: bytes.subarray(0, random.logUniform(100, MIB)) } : {};
    const headers = random.below(5) === 0 && method === "GET" ? { range: "bytes=10-5000" } : {};
    const response = await connection.send({ method, path, headers, ...body });
    await response.bytes();
    if (connection.isOpen && i % 20 !== 0) idle.push(connection);
    else connection.close();
  });
  for (const connection of idle) connection.close();
}

async function bounded({ runtime, checks, folder }: SuiteRun, workers: number): Promise<void> {
  const flags = { workers: String(workers), "l1-size": String(L1_BYTES), l2: `file://${folder}/${workers}?max=200MiB` };
  const server = await ServerProcess.start({ runtime, flags });
  try {
    await mixedLoad(server);
    const { dataBytes } = server.memory();
    const bound = L1_BYTES + BOUNDS[runtime].process + workers * BOUNDS[runtime].worker;
    const inMib = (count: number) => `${Math.round(count / MIB)} MiB`;
    console.log(`memory with ${workers} workers: ${inMib(dataBytes)} of ${inMib(bound)}`);
    checks.that(`${workers} workers stay within their bound`, dataBytes <= bound, () => inMib(dataBytes));
  } finally {
    await server.kill();
  }
}

/** The memory of the process against the bound that is stated for any number of workers. */
export const memory: HostileCase = {
  name: "memory",
  async run(run) {
    for (const workers of [2, 4]) await bounded(run, workers);
  },
};
