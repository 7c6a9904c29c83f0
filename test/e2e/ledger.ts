/**
 * Mixed operations over many workers, and the clients' ledger against /metrics: in peace, with details shed all the
 * time, with subscribers that throw and that hold the collector up, with a worker killed half-way. `bun run e2e:ledger
 * [--runtime bun|deno] [--seed N] [--operations N] [--connections N]`
 */
import { join } from "node:path";
import { killVariant } from "./ledger/kill/kill_variant.ts";
import { runVariant } from "./ledger/run_variant.ts";
import { suiteOptions } from "./support/options.ts";
import { runSuite } from "./support/run_suite.ts";

const options = suiteOptions({ operations: 200_000, connections: 48 });
const operations = options.number("operations");

await runSuite("ledger", options, async (run) => {
  const { checks } = run;
  const settings = { ...run, connections: options.number("connections"), seed: options.seed };
  await runVariant(settings, {
    name: "two workers",
    flags: { workers: "2", "l1-size": "256MiB" },
    operations,
    breaks: "whole",
    roomy: true,
  });
  await runVariant(settings, {
    name: "four workers, details shed",
    flags: { workers: "4", "l1-size": "16MiB", "event-queue": "1", "request-log": join(run.folder, "requests.log") },
    operations: Math.floor(operations / 5),
    breaks: "part",
    roomy: false,
    compare(page) {
      const shed = page.sum("vitrine_eventbus_shed_events_total", { event: "http.request.end" });
      checks.that("details were shed all the time", shed > operations / 20, () => `: ${shed}`);
    },
  });
  await runVariant(settings, {
    name: "bad subscribers",
    program: "test/e2e/ledger/disturbed_server.ts",
    flags: { workers: "2", "l1-size": "256MiB", "event-queue": "16" },
    operations: Math.floor(operations / 10),
    breaks: "whole",
    roomy: true,
    compare(page) {
      const thrown = page.sum("lmcache_mp_event_bus_subscriber_exceptions_total", { subscriber_name: "test.throws" });
      const shed = page.sum("vitrine_eventbus_shed_events_total", { event: "http.request.end" });
      checks.that("exceptions were counted and details shed", thrown > 0 && shed > 0, () => `: ${thrown}, ${shed}`);
    },
  });
  await killVariant(settings, Math.floor(operations / 5));
});
