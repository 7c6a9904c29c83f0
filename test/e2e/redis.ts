/**
 * The tier in a Valkey or Redis over real engines: the conformance suite over one engine, a cluster and a set with a
 * sentinel; what fails, how; two servers over one engine. `bun run e2e:redis [--runtime bun|deno] [--seed N] [--only
 * single|tls|cluster|sentinel|faults|servers]`
 */
import { spawn } from "node:child_process";
import process from "node:process";
import { secureEngine } from "./redis/secure_engine.ts";
import { failsOver } from "./redis/fails_over.ts";
import { serversShare } from "./redis/servers.ts";
import { suiteOptions } from "./support/options.ts";
import { runSuite, type SuiteRun } from "./support/run_suite.ts";
import { RedisServer, startRedisCluster, startSentinelSet } from "./tools/redis_server.ts";

/** Runs a file of tests on the runtime. */
async function runTests({ runtime, checks }: SuiteRun, file: string, url = ""): Promise<void> {
  const path = `./test/e2e/redis/${file}`;
  const args = runtime === "bun" ? ["test", "--timeout=60000", path] : ["test", "--allow-all", "--no-check", path];
  const child = spawn(runtime, args, { env: { ...process.env, VITRINE_TEST_REDIS: url, NO_COLOR: "1" } });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Uint8Array) => output.push(new TextDecoder().decode(chunk)));
  }
  const code = await new Promise((resolve) => child.once("exit", resolve));
  checks.that(`${file} ${url}`, code === 0, () => output.join(""));
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
  servers: serversShare,
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
