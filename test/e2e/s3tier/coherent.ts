import { Client } from "../support/http/client.ts";
import { objectPath } from "../support/keys.ts";
import { Ledger } from "../support/ledger.ts";
import { MetricsPage } from "../support/metrics_page.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { ServerProcess } from "../support/server_process.ts";
import { until } from "../support/until.ts";
import { writeAndRead } from "../shared_tier/write_and_read.ts";

/** The bound in the tiers' URL, and the longest time that a load or a verification takes besides, in milliseconds. */
const coherenceMs = 1000;
const loadMs = 500;
const timeoutMs = 20_000;

/**
 * Two servers over one bucket: what one overwrites or deletes, the L1 of the other does not serve for longer than the
 * bound, with a folder beside the bucket or without one.
 */
export async function bucketsAgree(run: SuiteRun, l2: string): Promise<void> {
  const { runtime, checks, folder } = run;
  const own: readonly string[] = ["", `file://${folder}/own,`];
  const servers = await Promise.all(own.map((tiers) => {
    const flags = { workers: "2", "l1-size": "32MiB", l2: `${tiers}${l2}&coherence=1s`, write: "through" };
    return ServerProcess.start({ runtime, flags });
  }));
  const [a, b] = servers.map(({ address }) => new Client(address, new Ledger()));
  if (a === undefined || b === undefined) throw new Error("no servers");
  const boundMs = coherenceMs + loadMs;
  await writeAndRead(run, { writer: a, reader: b, title: "a writes", forMs: 6000, boundMs });
  await writeAndRead(run, { writer: b, reader: a, title: "b writes", forMs: 6000, boundMs });

  const statusOf = async (client: Client): Promise<number> =>
    (await client.request({ method: "GET", path: objectPath("deleted") })).status;
  for (const [writer, reader] of [[a, b], [b, a]] as const) {
    await writer.request({ method: "PUT", path: objectPath("deleted"), body: new Uint8Array([1]) });
    checks.equal("the other server has it", { actual: await statusOf(reader), expected: 200 });
    await writer.request({ method: "DELETE", path: objectPath("deleted") });
    const startMs = performance.now();
    const status = await until(() => statusOf(reader), (now) => now === 404, { timeoutMs, everyMs: 20 });
    const tookMs = performance.now() - startMs;
    checks.equal("the other server misses what was deleted", { actual: status, expected: 404 });
    checks.that("a deletion is noticed within the bound", tookMs < boundMs, () => `${tookMs} ms`);
  }
  for (const { adminAddress: { host, port } } of servers) {
    const page = new MetricsPage(await (await fetch(`http://${host}:${port}/metrics`)).text());
    const noticed = page.sum("vitrine_l2_changed_elsewhere_total", { scope: "key" });
    checks.that("changes by the other server are counted", noticed > 10, () => String(noticed));
  }
  a.close();
  b.close();
  for (const server of servers) checks.equal("exit code", { actual: await server.stop(), expected: 0 });
}
