/**
 * `kill -9` under load with write through, again and again over the same folder; then a graceful stop under load with
 * write back. `bun run e2e:kill [--runtime bun|deno] [--seed N] [--rounds N] [--keys N] [--concurrency N]`
 */
import { KeyHistory } from "./kill/key_history.ts";
import { runLoad } from "./kill/load.ts";
import { startSlowTransfers } from "./kill/slow_transfers.ts";
import { verify } from "./kill/verify.ts";
import { Client } from "./support/http/client.ts";
import { objectPath } from "./support/keys.ts";
import { Ledger } from "./support/ledger.ts";
import { suiteOptions } from "./support/options.ts";
import { Random } from "./support/random.ts";
import { runSuite, type SuiteRun } from "./support/run_suite.ts";
import { ServerProcess } from "./support/server_process.ts";

const options = suiteOptions({ rounds: 8, keys: 300, concurrency: 16 });
const concurrency = options.number("concurrency");
const random = new Random(options.seed);

function start({ runtime }: SuiteRun, folder: string, write: "back" | "through"): Promise<ServerProcess> {
  return ServerProcess.start({ runtime, flags: { "l1-size": "64MiB", l2: `file://${folder}`, write } });
}

function newHistories(): readonly KeyHistory[] {
  return Array.from({ length: options.number("keys") }, (_, i) => new KeyHistory(`group ${i % 7}/key ${i}`));
}

/**
 * One load with one end by SIGKILL, sometimes a second SIGKILL while the next start recovers, and the comparison
 * afterwards.
 */
async function killRound(round: number, histories: readonly KeyHistory[], run: SuiteRun): Promise<void> {
  const folder = `${run.folder}/through`;
  const server = await start(run, folder, "through");
  const client = new Client(server.address, new Ledger());
  const verifyOptions = { client, checks: run.checks, folder };
  if (round > 0) await verify(histories, verifyOptions);
  const acknowledgements = random.logUniform(5, 1000);
  let killed = Promise.resolve();
  const onReached = () => {
    killed = server.kill();
  };
  const load = { client, histories, random, checks: run.checks, concurrency, acknowledgements, onReached };
  const acknowledged = await runLoad(load);
  await killed;
  client.close();
  console.log(`round ${round}: killed after ${acknowledged} acknowledged writes`);
  run.checks.that("the load was ended by the kill", acknowledged >= acknowledgements, () => server.output);
}

async function gracefulRound(run: SuiteRun): Promise<void> {
  const folder = `${run.folder}/back`;
  const { checks } = run;
  const histories = newHistories();
  const server = await start(run, folder, "back");
  const client = new Client(server.address, new Ledger());
  const slow = await startSlowTransfers(server.address, checks);
  let stopped: Promise<unknown> = Promise.resolve();
  const onReached = () => {
    stopped = server.stop();
  };
  const acknowledged = await runLoad({
    client,
    histories,
    random,
    checks,
    concurrency,
    acknowledgements: 1000,
    onReached,
  });
  await slow.finish();
  client.close();
  checks.equal("exit code of a graceful stop under load", { actual: await stopped, expected: 0 });
  console.log(`graceful stop under load after ${acknowledged} acknowledged writes`);

  const again = await start(run, folder, "back");
  const reader = new Client(again.address, new Ledger());
  for (const [key, bytes] of slow.uploads) {
    const { status, body } = await reader.request({ method: "GET", path: objectPath(key) });
    checks.that(`GET ${key} after the restart`, status === 200 && Buffer.compare(bytes, body) === 0);
  }
  for (let i = 0; i < slow.uploads.size; i++) {
    for (const key of [`slow upload ${i}`, `slow download ${i}`]) {
      const { status } = await reader.request({ method: "DELETE", path: objectPath(key) });
      checks.equal(`DELETE ${key}`, { actual: status, expected: 204 });
    }
  }
  await verify(histories, { client: reader, checks, folder });
  reader.close();
  checks.equal("exit code of a graceful stop", { actual: await again.stop(), expected: 0 });
}

await runSuite("kill", options, async (run) => {
  const histories = newHistories();
  for (let round = 0; round < options.number("rounds"); round++) {
    await killRound(round, histories, run);
    if (round % 3 === 2) {
      const recovering = await start(run, `${run.folder}/through`, "through");
      await recovering.kill();
    }
  }
  const folder = `${run.folder}/through`;
  const server = await start(run, folder, "through");
  const client = new Client(server.address, new Ledger());
  await verify(histories, { client, checks: run.checks, folder });
  client.close();
  run.checks.equal("exit code of a graceful stop", { actual: await server.stop(), expected: 0 });
  await gracefulRound(run);
});
