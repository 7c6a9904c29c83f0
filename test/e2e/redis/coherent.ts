import { Client } from "../support/http/client.ts";
import { objectPath } from "../support/keys.ts";
import { Ledger } from "../support/ledger.ts";
import { MetricsPage } from "../support/metrics_page.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { ServerProcess } from "../support/server_process.ts";
import { writeAndRead } from "../shared_tier/write_and_read.ts";
import { until } from "../support/until.ts";
import { RedisServer } from "../tools/redis_server.ts";

/** How old what the other server's L1 serves may be, in milliseconds. */
const BOUND_MS = 1000;
const timeoutMs = 20_000;

interface Peer {
  readonly server: ServerProcess;
  readonly client: Client;
}

async function start({ runtime }: SuiteRun, engine: RedisServer): Promise<Peer> {
  const l2 = `redis://127.0.0.1:${engine.port}?prefix=coherent`;
  const server = await ServerProcess.start({
    runtime,
    flags: { workers: "2", "l1-size": "32MiB", l2, write: "through" },
  });
  return { server, client: new Client(server.address, new Ledger()) };
}

/** The number of noticed changes of a kind. */
async function noticed({ server }: Peer, scope: "key" | "any"): Promise<number> {
  const { host, port } = server.adminAddress;
  const page = new MetricsPage(await (await fetch(`http://${host}:${port}/metrics`)).text());
  return page.sum("vitrine_l2_changed_elsewhere_total", { scope });
}

/**
 * Two servers over one engine: what one overwrites, deletes or clears, the L1 of the other drops within a second, also
 * after the engine was away or has lost its memory.
 */
export async function serversAgree(run: SuiteRun): Promise<void> {
  const { checks } = run;
  const engine = await RedisServer.start(`${run.folder}/coherent`, ["--save", "", "--appendonly", "no"]);
  const [a, b] = await Promise.all([start(run, engine), start(run, engine)]);
  await writeAndRead(run, {
    writer: a.client,
    reader: b.client,
    title: "a writes",
    forMs: 5000,
    boundMs: BOUND_MS,
  });
  await writeAndRead(run, {
    writer: b.client,
    reader: a.client,
    title: "b writes",
    forMs: 3000,
    boundMs: BOUND_MS,
  });

  const statusOf = async ({ client }: Peer, key: string): Promise<number> =>
    (await client.request({ method: "GET", path: objectPath(key) })).status;
  const putBoth = async (key: string): Promise<void> => {
    await a.client.request({ method: "PUT", path: objectPath(key), body: new Uint8Array([1]) });
    checks.equal(`B has ${key}`, { actual: await statusOf(b, key), expected: 200 });
  };
  const isGone = async (key: string, why: string): Promise<void> => {
    const startMs = performance.now();
    const status = await until(() => statusOf(b, key), (now) => now === 404, { timeoutMs, everyMs: 20 });
    const tookMs = performance.now() - startMs;
    checks.equal(`B misses ${key} that was ${why}`, { actual: status, expected: 404 });
    checks.that(`${why}: within the bound`, tookMs < BOUND_MS, () => `${tookMs} ms`);
  };
  await putBoth("deleted");
  await a.client.request({ method: "DELETE", path: objectPath("deleted") });
  await isGone("deleted", "deleted");
  await putBoth("cleared");
  await a.client.request({ method: "DELETE", path: "/v1/objects?clear=all" });
  await isGone("cleared", "cleared");

  // Its connections are cut: what was missed meanwhile comes afterwards.
  await putBoth("cut");
  engine.command("client", "kill", "type", "normal");
  await until(
    async () => (await a.client.request({ method: "DELETE", path: objectPath("cut") })).status,
    (status) => status === 204 || status === 404,
    { timeoutMs },
  );
  await until(() => statusOf(b, "cut"), (status) => status === 404, { timeoutMs });
  checks.equal("B misses what was deleted while connections were cut", {
    actual: await statusOf(b, "cut"),
    expected: 404,
  });

  // The engine loses its memory, and with it the log: B notices, and trusts nothing that it has.
  await putBoth("lost");
  const before = await noticed(b, "any");
  await engine.kill();
  await engine.restart();
  // Until B has found the engine again, it may ask for the object and fail.
  const after = await until(() => noticed(b, "any"), (count) => count > before, { timeoutMs });
  checks.that("B counts that changes may have been missed", after > before, () => `${before}, then ${after}`);
  await until(() => statusOf(b, "lost"), (status) => status === 404, { timeoutMs });
  checks.equal("B misses what the engine has lost", { actual: await statusOf(b, "lost"), expected: 404 });
  checks.that("B counts what A changed", await noticed(b, "key") > 100);

  for (const { server, client } of [a, b]) {
    client.close();
    checks.equal("exit code of a graceful stop", { actual: await server.stop(), expected: 0 });
  }
  await engine.kill();
}
