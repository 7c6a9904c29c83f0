import { join } from "node:path";
import { Ledger } from "../support/ledger.ts";
import { Random } from "../support/random.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { untilStored } from "../support/server_api.ts";
import { ServerProcess } from "../support/server_process.ts";
import type { MetricsPage } from "../support/metrics_page.ts";
import { Client } from "../support/http/client.ts";
import { AdminProbe } from "./probe/admin_probe.ts";
import { compareInside } from "./compare_inside.ts";
import { comparePage } from "./compare_page.ts";
import { Load } from "./load.ts";
import { type Breaks, Operations } from "./operations.ts";
import { workerStatus } from "./worker_status.ts";

/** One server and what is done to it. */
export interface Variant {
  readonly name: string;
  readonly flags: Readonly<Record<string, string>>;
  /** Default: src/main.ts. */
  readonly program?: string;
  readonly operations: number;
  readonly breaks: Breaks;
  /** Whether L1 has room for everything. */
  readonly roomy: boolean;
  /** More to look at on the last page. */
  readonly compare?: (page: MetricsPage) => void;
}

/** What all variants share. */
export interface VariantOptions extends SuiteRun {
  readonly connections: number;
  readonly seed: number;
}

const timeoutMs = 60_000;

/** Starts a server, sends the load, and compares the ledger with the page on a worker's port and on the admin port. */
export async function runVariant(
  { runtime, folder, checks, ...options }: VariantOptions,
  variant: Variant,
): Promise<void> {
  const { name, program } = variant;
  const flags = {
    ...variant.flags,
    l2: `file://${join(folder, name.replaceAll(/\W/g, "-"))}?fsync=off`,
  };
  const server = await ServerProcess.start({ runtime, flags, ...(program === undefined ? {} : { program }) });
  const ledger = new Ledger();
  const operations = new Operations(new Random(options.seed), variant.breaks);
  const { address, adminAddress } = server;
  const load = new Load({ address, ledger, checks, operations, connections: options.connections });
  await load.prepare();
  const probe = new AdminProbe(adminAddress);
  const startMs = performance.now();
  await load.run(variant.operations);
  const seconds = (performance.now() - startMs) / 1000;
  const p99 = Object.entries(await probe.finish(ledger)).map(([path, ms]) => `${path} ${ms} ms`);
  const rate = Math.round(variant.operations / seconds);
  console.log(`${name}: ${variant.operations} operations, ${rate}/s; p99 on the admin port: ${p99.join(", ")}`);

  const client = load.newClient();
  await untilStored(client, timeoutMs);
  const admin = new Client(adminAddress, ledger);
  for (const asking of [client, admin]) {
    const { racedHits } = load;
    const page = await comparePage(asking, { ledger, checks, racedHits, roomy: variant.roomy });
    compareInside(page, checks);
    variant.compare?.(page);
  }
  checks.equal("workers replaced", { actual: (await workerStatus(admin)).worker_restarts, expected: 0 });
  client.close();
  admin.close();
  checks.equal("exit code of a graceful stop", { actual: await server.stop(), expected: 0 });
}
