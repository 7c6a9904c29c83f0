/**
 * The tier in a Valkey or Redis over real engines: the conformance suite over one engine, a cluster and a set with a
 * sentinel; what fails, how; two servers over one engine, and what the L1 of one knows of the other's changes. `bun run
 * e2e:redis [--runtime bun|deno] [--seed N] [--only single|tls|cluster|sentinel|faults|servers|coherent]`
 */
import { secureEngine } from "./redis/secure_engine.ts";
import { failsOver } from "./redis/fails_over.ts";
import { serversAgree } from "./redis/coherent.ts";
import { suiteOptions } from "./support/options.ts";
import { runSuite, type SuiteRun } from "./support/run_suite.ts";
import { serversShare } from "./shared_tier/servers_share.ts";
import { testRun } from "./shared_tier/test_run.ts";
import { RedisServer, startRedisCluster, startSentinelSet } from "./tools/redis_server.ts";

async function runTests(run: SuiteRun, file: string, url = ""): Promise<void> {
  await testRun(run, `./test/e2e/redis/${file}`, { VITRINE_TEST_REDIS: url });
}

const parts: Readonly<Record<string, (run: SuiteRun) => Promise<void>>> = {
  async single(run) {
    const engine = await RedisServer.start(`${run.folder}/single`);
    await runTests(run, "conformance_run.ts", `redis://127.0.0.1:${engine.port}/3`);
    await engine.kill();
  },
  async tls(run) {
    const { engine, url } = await secureEngine(`${run.folder}/tls`);
    await runTests(run, "conformance_run.ts", url);
    await engine.kill();
  },
  async cluster(run) {
    const nodes = await startRedisCluster(`${run.folder}/cluster`);
    const hosts = nodes.map(({ port }) => `127.0.0.1:${port}`).join(",");
    await runTests(run, "conformance_run.ts", `redis+cluster://${hosts}`);
    await Promise.all(nodes.map((node) => node.kill()));
  },
  async sentinel(run) {
    const set = await startSentinelSet(`${run.folder}/sentinel`);
    const url = `redis+sentinel://127.0.0.1:${set.sentinelPort}/0`;
    await runTests(run, "conformance_run.ts", url);
    await failsOver(run, set, url);
    await set.stop();
  },
  faults: (run) => runTests(run, "faults_run.ts"),
  async servers(run) {
    const engine = await RedisServer.start(`${run.folder}/engine`, ["--appendonly", "yes", "--appendfsync", "always"]);
    await serversShare(run, {
      url: `redis://127.0.0.1:${engine.port}?prefix=shared`,
      kill: () => engine.kill(),
      restart: () => engine.restart(),
      pause: () => engine.pause(),
      resume: () => engine.resume(),
      cut: () => void engine.command("client", "kill", "type", "normal"),
    });
  },
  coherent: serversAgree,
};

const options = suiteOptions({}, { only: Object.keys(parts) });

await runSuite("redis", options, async (run) => {
  for (const [name, part] of Object.entries(parts)) {
    if (options.only !== "" && options.only !== name) continue;
    const startMs = performance.now();
    await part(run);
    console.log(`${name}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  }
});
