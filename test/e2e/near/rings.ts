import { freePorts } from "../tools/free_ports.ts";
import { objectPath } from "../support/keys.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { ServerProcess } from "../support/server_process.ts";
import { until } from "../support/until.ts";

const timeoutMs = 20_000;
/** How long a request to a server of a ring may take, in milliseconds. */
const ANSWER_MS = 5000;

/** Servers whose tiers lead back to themselves refuse to use them, and say why. */
export async function rings(run: SuiteRun): Promise<void> {
  for (const count of [1, 2, 3]) await ring(run, count);
}

async function ring({ runtime, checks }: SuiteRun, count: number): Promise<void> {
  const ports = await freePorts(count);
  const servers = await Promise.all(ports.map((port, n) => {
    const next = ports[(n + 1) % count];
    const flags = { port: String(port), workers: "1", "l1-size": "32MiB", l2: `http://127.0.0.1:${next}` };
    return ServerProcess.start({ runtime, flags });
  }));
  const title = `a ring of ${count}`;
  const why = async ({ address: { host, port } }: ServerProcess): Promise<string> => {
    const response = await fetch(`http://${host}:${port}${objectPath("a")}?explain=1`);
    return await response.text();
  };
  for (const server of servers) {
    const text = await until(() => why(server), (now) => now.includes("a ring of servers"), { timeoutMs });
    checks.that(`${title}: says why`, text.includes("a ring of servers"), () => text);
    const startMs = performance.now();
    const { host, port } = server.address;
    const { status } = await fetch(`http://${host}:${port}${objectPath("a")}`);
    checks.equal(`${title}: GET`, { actual: status, expected: 503 });
    const tookMs = performance.now() - startMs;
    checks.that(`${title}: answers at once`, tookMs < ANSWER_MS, () => `${tookMs} ms`);
  }
  for (const server of servers) await server.kill();
}
