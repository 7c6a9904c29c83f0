import { setTimeout as wait } from "node:timers/promises";
import process from "node:process";
import * as v from "valibot";
import { pattern } from "../../http/contract_client.ts";
import { parsePrometheusText } from "../../support/prometheus_text.ts";
import { CpuGroup } from "../support/cpu_group.ts";
import { Connection } from "../support/http/connection.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { ServerProcess } from "../support/server_process.ts";
import { until } from "../support/until.ts";
import { type Hang, HangingServer } from "./hanging_server.ts";
import type { HostileCase } from "./hostile_case.ts";

/** Far below what a starved worker is kept waiting here. */
const WORKER_TIMEOUT = "1s";
/** Share of a core for the server and what competes with it, and how many compete. */
const QUOTA = { cores: 0.5, processes: 10 };

const statusSchema = v.object({
  worker_restarts: v.number(),
  workers: v.array(v.object({ slot: v.number(), workerId: v.number(), state: v.string() })),
});
type Status = v.InferOutput<typeof statusSchema>;

/** Requests on connections of their own, which the kernel spreads over the workers. */
async function ask(
  address: ServerProcess["address"],
  method: string,
  path: string,
): Promise<{ status: number; text: string }> {
  const connection = await Connection.open(address);
  try {
    const body = method === "PUT" ? { body: pattern(20_000) } : {};
    const response = await connection.send({ method, path, headers: { connection: "close" }, ...body });
    return { status: response.status, text: new TextDecoder().decode(await response.bytes()) };
  } finally {
    connection.close();
  }
}

async function statusOf(server: ServerProcess): Promise<Status> {
  return v.parse(statusSchema, JSON.parse((await ask(server.adminAddress, "GET", "/status")).text));
}

/** Restarts and who serves: what no healthy worker's life may change. */
async function fleet(server: ServerProcess): Promise<unknown> {
  const { worker_restarts, workers } = await statusOf(server);
  return { worker_restarts, ids: workers.map(({ workerId, state }) => `${workerId} ${state}`) };
}
const HEALTHY = { worker_restarts: 0, ids: ["2 ready", "3 ready"] };

/** Answers that came, by status; a request without one counts as 0. */
async function load(server: ServerProcess, until: AbortSignal): Promise<ReadonlyMap<number, number>> {
  const counts = new Map<number, number>();
  await Promise.all(Array.from({ length: 8 }, async (_, client) => {
    for (let i = 0; !until.aborted; i++) {
      const path = `/v1/objects/${client}-${(i >> 1) % 20}`;
      const { status } = await ask(server.address, i % 2 === 0 ? "PUT" : "GET", path).catch(() => ({ status: 0 }));
      counts.set(status, (counts.get(status) ?? 0) + 1);
    }
  }));
  return counts;
}

/**
 * A quota of half a core, shared with ten busy processes, under load; scrapes on the service port from four clients at
 * once; a process that is stopped for a while.
 */
async function starved({ runtime, checks, folder }: SuiteRun): Promise<void> {
  const group = new CpuGroup(runtime);
  const l2 = `file://${folder}/starved`;
  const flags = { workers: "2", "l1-size": "64MiB", l2, "worker-timeout": WORKER_TIMEOUT };
  const server = await ServerProcess.start({ runtime, flags, prefix: group.prefix });
  try {
    group.burn(QUOTA.processes);
    group.limit(QUOTA.cores);
    const counts = await load(server, AbortSignal.timeout(8000));
    checks.that(
      "a starved server answers every request",
      !counts.has(0) && (counts.get(200) ?? 0) > 0,
      () => String([...counts]),
    );
    await group.calm();
    const scrapes = await Promise.all([0, 1, 2, 3].map(() => ask(server.address, "GET", "/metrics")));
    checks.that(
      "four scrapes at once on the service port of a starved server are answered",
      scrapes.every(({ status, text }) => status === 200 && text.includes("vitrine_workers")),
      () => scrapes.map(({ status }) => status).join(),
    );
    group.limit(undefined);
    checks.equal("no worker of a starved server is replaced", { actual: await fleet(server), expected: HEALTHY });

    process.kill(server.pid, "SIGSTOP");
    await wait(3000);
    process.kill(server.pid, "SIGCONT");
    const after = await load(server, AbortSignal.timeout(1500));
    checks.that("a server goes on after SIGSTOP and SIGCONT", !after.has(0), () => String([...after]));
    checks.equal("no worker is replaced after SIGSTOP", { actual: await fleet(server), expected: HEALTHY });
  } finally {
    await group.calm();
    await server.kill();
    group.close();
  }
}

/** Both workers hang at the same time, each way there is on a server of its own. */
async function hung({ runtime, checks, folder }: SuiteRun, how: Hang): Promise<void> {
  const defect = new HangingServer(`${folder}/${how}`);
  const l2 = `file://${folder}/${how}-objects`;
  const flags = { workers: "2", "l1-size": "64MiB", l2, "worker-timeout": WORKER_TIMEOUT };
  const server = await ServerProcess.start({ runtime, flags, program: defect.program });
  // Bun ends a thread that loops or waits; neither runtime ends one inside a RegExp, and Deno no busy one.
  const isStuck = how === "regexp" || runtime === "deno";
  const wanted = isStuck ? "ready,ready,stuck,stuck" : "ready,ready";
  const isReplaced = ({ worker_restarts, workers }: Status) =>
    worker_restarts === 2 && workers.map(({ state }) => state).toSorted().join() === wanted;
  try {
    defect.hang(how);
    const status = await until(() => statusOf(server), isReplaced, { timeoutMs: 25_000 });
    checks.that(
      `workers that hang (${how}) are replaced, and those that cannot be ended are told of`,
      isReplaced(status),
      () => JSON.stringify(status),
    );
    checks.equal(`/healthz when workers hung (${how})`, {
      actual: (await ask(server.adminAddress, "GET", "/healthz")).status,
      expected: isStuck ? 503 : 200,
    });
    const { text } = await ask(server.adminAddress, "GET", "/metrics");
    const samples = parsePrometheusText(text);
    const valueOf = (name: string, label: string, value: string) =>
      samples.find((sample) => sample.name === name && sample.labels[label] === value)?.value;
    checks.equal(`a scrape says what became of the workers (${how})`, {
      actual: [valueOf("vitrine_worker_restarts_total", "cause", "hung"), valueOf("vitrine_workers", "state", "stuck")],
      expected: [2, isStuck ? 2 : 0],
    });
    checks.equal(`the log says that a thread cannot be ended (${how})`, {
      actual: server.output.includes("a worker's thread cannot be ended"),
      expected: isStuck,
    });
  } finally {
    await server.kill();
  }
}

/** Workers that get no core, and workers that hang: the first live on, the second are replaced. */
export const watchdog: HostileCase = {
  name: "watchdog",
  async run(run) {
    await starved(run);
    for (const how of ["loop", "regexp", "wait"] as const) await hung(run, how);
  },
};
