import { join } from "node:path";
import { Client } from "../../support/http/client.ts";
import { Ledger } from "../../support/ledger.ts";
import { MetricsPage } from "../../support/metrics_page.ts";
import { Random } from "../../support/random.ts";
import { untilStored } from "../../support/server_api.ts";
import { ServerProcess } from "../../support/server_process.ts";
import { until } from "../../support/until.ts";
import { compareAfterDeath } from "./compare_after_death.ts";
import { compareEvents } from "../compare_events.ts";
import { compareInside } from "../compare_inside.ts";
import { comparePage } from "../compare_page.ts";
import { countersThatFell } from "../counters.ts";
import { DoomedLoad } from "./doomed_load.ts";
import { Load } from "../load.ts";
import { Operations } from "../operations.ts";
import type { VariantOptions } from "../run_variant.ts";
import { workerStatus } from "../worker_status.ts";

const timeoutMs = 60_000;
const name = "a worker killed";
const doomedPlace = 1;
const flags = { workers: "4", "l1-size": "256MiB" };

async function scrape(client: Client): Promise<string> {
  const { body } = await client.request({ method: "GET", path: "/metrics" });
  return new TextDecoder().decode(body);
}

/** A third of the load in peace, a third with a worker's death in the middle, a third with its replacement. */
export async function killVariant(
  { runtime, folder, checks, connections, seed }: VariantOptions,
  operationCount: number,
): Promise<void> {
  const l2 = `file://${join(folder, "killed")}?fsync=off`;
  const program = "test/e2e/ledger/kill/killable_server.ts";
  const server = await ServerProcess.start({ runtime, flags: { ...flags, l2 }, program });
  const { address, adminAddress } = server;
  const ledger = new Ledger();
  const operations = new Operations(new Random(seed), "whole");
  const load = new Load({ address, ledger, checks, operations, connections });
  const admin = new Client(adminAddress, ledger);
  const third = 2 * Math.floor(operationCount / 6);

  await load.prepare();
  await load.run(third);
  await untilStored(admin, timeoutMs);
  compareInside(await comparePage(admin, { ledger, checks, racedHits: load.racedHits, roomy: true }), checks);

  const doomed = new DoomedLoad(load, {
    operations: new Operations(new Random(seed + 1), "none"),
    connections,
    ledger,
  });
  const die = async () => {
    await doomed.answered(third / 2);
    doomed.mark();
    const before = await scrape(admin);
    server.tell(`kill ${doomedPlace}`);
    const isReplaced = ({ worker_restarts: restarts, workers }: Awaited<ReturnType<typeof workerStatus>>) =>
      restarts === 1 && workers.every(({ state }) => state === "ready");
    checks.that(
      "the worker is replaced",
      isReplaced(await until(() => workerStatus(admin), isReplaced, { timeoutMs })),
    );
    await doomed.answered(third / 2);
    return before;
  };
  const death = die();
  await doomed.runUntil(death);
  checks.that("requests broke off when their worker died", doomed.unknown.requests.toObject()["GET"] !== undefined);

  await load.run(third);
  await untilStored(admin, timeoutMs);
  const isQuiet = ({ l1 }: Awaited<ReturnType<typeof workerStatus>>) => l1.readLeases + l1.writeLeases === 0;
  const { l1 } = await until(() => workerStatus(admin), isQuiet, { timeoutMs });
  checks.equal("leases and stagings that outlive a worker", {
    actual: [l1.readLeases, l1.writeLeases, l1.stagingBytes],
    expected: [0, 0, 0],
  });
  // Unrecorded: a page does not show itself.
  const after = await scrape(new Client(adminAddress, new Ledger()));
  const page = new MetricsPage(after);
  checks.equal("counters that fell", { actual: countersThatFell(await death, after), expected: [] });
  compareEvents(page, checks);
  compareAfterDeath(page, { ledger, unknown: doomed.unknown, checks });
  const lost = page.sum("lmcache_mp_event_bus_dropped_events_total");
  checks.equal("events lost", { actual: lost, expected: 0 });
  const unknown = JSON.stringify(doomed.unknown.requests.toObject());
  console.log(`${name}: ${operationCount} operations, without an answer: ${unknown}, events lost: ${lost}`);
  admin.close();
  checks.equal("exit code of a graceful stop", { actual: await server.stop(), expected: 0 });
}
