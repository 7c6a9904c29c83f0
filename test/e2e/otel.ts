/**
 * The server against a real OpenTelemetry Collector and a real Prometheus, with the compose stack's own configuration:
 * the same series pushed and pulled, dashboards that show data, rules that hold, and a Collector that dies, hangs and
 * comes back. `bun run e2e:otel [--runtime bun|deno] [--seed N] [--requests N] [--rounds N]`
 */
import { globSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { compareWays } from "./otel/compare_ways.ts";
import { checkDisturbance } from "./otel/disturbance.ts";
import { emptyExpressions, expressions, notNumbers } from "./otel/expressions.ts";
import { checkMetricsPage } from "./otel/lint.ts";
import { loadFlags, sendLoad, tierLimit, turnOver } from "./otel/load.ts";
import { checkLogsAndTraces } from "./otel/logs_and_traces.ts";
import { Client } from "./support/http/client.ts";
import { Ledger } from "./support/ledger.ts";
import { suiteOptions } from "./support/options.ts";
import { Random } from "./support/random.ts";
import { runSuite, type SuiteRun } from "./support/run_suite.ts";
import { untilStored } from "./support/server_api.ts";
import { ServerProcess } from "./support/server_process.ts";
import { Collector } from "./tools/collector.ts";
import { collectorProgram } from "./tools/collector_program.ts";
import { Prometheus } from "./tools/prometheus.ts";
import { promtool } from "./tools/promtool.ts";

const options = suiteOptions({ requests: 4000, rounds: 6 });
const started = performance.now();
const tell = (what: string) => console.log(`${((performance.now() - started) / 1000).toFixed(1)} s: ${what}`);

function folderOf(run: SuiteRun, name: string): string {
  const folder = join(run.folder, name);
  mkdirSync(folder);
  return folder;
}

/** The admin port, as the start line tells it. */
function adminAddress(server: ServerProcess): string {
  const port = /\badmin=(\d+)/.exec(server.output)?.[1];
  if (port === undefined) throw new Error(`start line without an admin port: ${server.output}`);
  return `${server.address.host}:${port}`;
}

/** A server that pushes every second to the collector. */
async function startServer(run: SuiteRun, otlpUrl: string): Promise<ServerProcess> {
  return await ServerProcess.start({
    runtime: run.runtime,
    prefix: ["env", `OTEL_EXPORTER_OTLP_ENDPOINT=${otlpUrl}`, "OTEL_METRIC_EXPORT_INTERVAL=1000"],
    flags: { ...loadFlags, "admin-port": "0", l2: `file://${folderOf(run, "tier")}?${tierLimit}` },
  });
}

await runSuite("otel", options, async (run) => {
  const { checks } = run;
  const program = collectorProgram();
  for (const args of [["check", "rules"], ["test", "rules"]]) {
    const files = globSync(args[0] === "check" ? "deploy/prometheus/rules/*.yml" : "deploy/prometheus/tests/*.yml");
    const { ok, output } = promtool([...args, ...files]);
    checks.that(`promtool ${args.join(" ")}`, ok && files.length > 0, () => output);
  }
  tell("rules checked, tools ready");
  const collector = await Collector.start(program, folderOf(run, "collector"));
  const server = await startServer(run, collector.otlpUrl);
  const prometheus = await Prometheus.start(folderOf(run, "prometheus"), {
    server: adminAddress(server),
    collector: collector.scrapeTarget,
  });
  const ledger = new Ledger();
  const client = new Client(server.address, ledger);
  await checkMetricsPage("fresh", client, checks);
  // Rates need a sample from before the load.
  await compareWays("fresh", prometheus, checks);
  checks.equal("fresh: samples that are no number", { actual: await notNumbers(prometheus), expected: [] });
  tell("fresh server compared");
  await sendLoad(client, new Random(options.seed), { requests: options.number("requests"), keys: 1500 });
  // Twice: the series of a histogram begin with their first value, and only a later one gives them a rate.
  for (let round = 0; round < 2; round += 1) await turnOver(client, 1500);
  await untilStored(client, 30_000);
  tell("load sent");
  await checkMetricsPage("loaded", client, checks);
  await compareWays("loaded", prometheus, checks);
  checks.equal("loaded: samples that are no number", { actual: await notNumbers(prometheus), expected: [] });
  checks.equal("expressions that show nothing", { actual: await emptyExpressions(prometheus), expected: [] });
  tell(`compared; ${expressions.length} expressions of dashboards asked`);
  await checkLogsAndTraces({ client, collector, address: server.address }, checks);
  tell("logs and traces checked");
  await checkDisturbance({ server, client, collector, prometheus }, { checks, rounds: options.number("rounds"), tell });
  collector.process.pause();
  const stopped = performance.now();
  client.close();
  checks.equal("exit code of a graceful stop with a collector that hangs", {
    actual: await server.stop(),
    // All is stored, and the last push did not arrive.
    expected: 3,
  });
  tell(`stopped within ${Math.round(performance.now() - stopped)} ms`);
  await collector.process.kill();
  await prometheus.process.stop();
});
