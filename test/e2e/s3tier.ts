/**
 * The tier in a bucket over real S3 servers: the conformance suite over Versity's gateway and over moto; what fails,
 * how; two servers over one bucket, and what the L1 of one serves of the other's changes. `bun run e2e:s3tier
 * [--runtime bun|deno] [--seed N] [--only conformance|faulty|moto|faults|create|coherent|servers]`
 */
import { bucketsAgree } from "./s3tier/coherent.ts";
import { FaultyProxy } from "./s3tier/faulty_proxy.ts";
import { createOnce } from "./s3tier/create_once.ts";
import { Proxy } from "./shared_tier/proxy.ts";
import { serversShare } from "./shared_tier/servers_share.ts";
import { testRun } from "./shared_tier/test_run.ts";
import { suiteOptions } from "./support/options.ts";
import { runSuite, type SuiteRun } from "./support/run_suite.ts";
import { s3Keys, S3Server, startMoto, useS3Keys } from "./tools/s3_server.ts";

const parts: Readonly<Record<string, (run: SuiteRun) => Promise<void>>> = {
  async conformance(run) {
    const server = await S3Server.start(`${run.folder}/conformance`);
    await runTests(run, "conformance_run.ts", server.url("x"));
    await server.kill();
  },
  async faulty(run) {
    const server = await S3Server.start(`${run.folder}/faulty`);
    const proxy = await FaultyProxy.start({ target: server.port, seed: options.seed });
    await runTests(run, "conformance_run.ts", server.url("x", proxy.port));
    for (const [kind, count] of proxy.injected) {
      run.checks.that(`faults were injected: ${kind}`, count > 0, () => String(count));
    }
    proxy.close();
    await server.kill();
  },
  async moto(run) {
    const server = await startMoto();
    await runTests(run, "conformance_run.ts", server.url("x"));
    await server.kill();
  },
  faults: (run) => runTests(run, "faults_run.ts"),
  async create(run) {
    const server = await S3Server.start(`${run.folder}/create`);
    await createOnce(run, server.url("create"));
    await server.kill();
  },
  async coherent(run) {
    const server = await S3Server.start(`${run.folder}/coherent`);
    await bucketsAgree(run, server.url("coherent"));
    await server.kill();
  },
  async servers(run) {
    const server = await S3Server.start(`${run.folder}/servers`);
    const proxy = await Proxy.start(server.port);
    await serversShare(run, {
      url: server.url("shared", proxy.port),
      kill: () => server.kill(),
      restart: () => server.restart(),
      pause: () => server.pause(),
      resume: () => server.resume(),
      cut: () => proxy.cut(),
    });
    proxy.close();
    await server.kill();
  },
};

async function runTests(run: SuiteRun, file: string, url = ""): Promise<void> {
  await testRun(run, `./test/e2e/s3tier/${file}`, { ...s3Keys, VITRINE_TEST_S3: url });
}

const options = suiteOptions({}, { only: Object.keys(parts) });

useS3Keys();
await runSuite("s3tier", options, async (run) => {
  for (const [name, part] of Object.entries(parts)) {
    if (options.only !== "" && options.only !== name) continue;
    const startMs = performance.now();
    await part(run);
    console.log(`${name}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  }
});
