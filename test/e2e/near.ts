/**
 * The tier in another server: the conformance suite over a running central server; near servers in front of one that
 * is stopped, is killed and comes back; rings of servers.
 * `bun run e2e:near [--runtime bun|deno] [--seed N] [--only conformance|servers|rings]`
 */
import { nearServers } from "./near/near_servers.ts";
import { rings } from "./near/rings.ts";
import { testRun } from "./shared_tier/test_run.ts";
import { suiteOptions } from "./support/options.ts";
import { runSuite, type SuiteRun } from "./support/run_suite.ts";
import { ServerProcess } from "./support/server_process.ts";

const parts: Readonly<Record<string, (run: SuiteRun) => Promise<void>>> = {
  async conformance(run) {
    const flags = { workers: "2", "l1-size": "32MiB", l2: `file://${run.folder}/conformance?fsync=off` };
    const central = await ServerProcess.start({ runtime: run.runtime, flags });
    const { host, port } = central.address;
    await testRun(run, "./test/e2e/near/conformance_run.ts", { VITRINE_TEST_NEAR: `http://${host}:${port}` });
    await central.kill();
  },
  servers: nearServers,
  rings,
};

const options = suiteOptions({}, { only: Object.keys(parts) });

await runSuite("near", options, async (run) => {
  for (const [name, part] of Object.entries(parts)) {
    if (options.only !== "" && options.only !== name) continue;
    const startMs = performance.now();
    await part(run);
    console.log(`${name}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  }
});
