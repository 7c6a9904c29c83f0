/**
 * Hunt for torn, foreign and outdated bytes: many clients over a few keys and four workers whose memory is far too
 * small, workers killed now and then; at the end nothing is leaked. `bun run e2e:hunt [--runtime bun|deno] [--seed N]
 * [--seconds N] [--clients N] [--keys N] [--kills N]`
 */
import { setTimeout as wait } from "node:timers/promises";
import { Hunter } from "./hunt/hunter.ts";
import { workerStatus } from "./ledger/worker_status.ts";
import { Client } from "./support/http/client.ts";
import { Ledger } from "./support/ledger.ts";
import { suiteOptions } from "./support/options.ts";
import { Random } from "./support/random.ts";
import { runSuite } from "./support/run_suite.ts";
import { listObjects } from "./support/server_api.ts";
import { ServerProcess } from "./support/server_process.ts";
import { until } from "./support/until.ts";

const options = suiteOptions({ seconds: 150, clients: 24, keys: 16, kills: 6 });
const l1Bytes = 16 * 1024 ** 2;
const workers = 4;
const timeoutMs = 60_000;
const program = "test/e2e/ledger/kill/killable_server.ts";
type Status = Awaited<ReturnType<typeof workerStatus>>;

function isQuiet({ l1, loadsInFlight, storeQueue }: Status): boolean {
  return l1.readLeases + l1.writeLeases + l1.stagingBytes + loadsInFlight + storeQueue.entries + storeQueue.inFlight ===
    0;
}

await runSuite("hunt", options, async ({ runtime, folder, checks }) => {
  const random = new Random(options.seed);
  const kills = options.number("kills");
  const flags = {
    workers: String(workers),
    "l1-size": String(l1Bytes),
    l2: `file://${folder}/tier?fsync=off`,
  };
  const server = await ServerProcess.start({ runtime, flags, program });
  const { address } = server;
  const admin = new Client(server.adminAddress, new Ledger());
  const [clients, keys] = [options.number("clients"), options.number("keys")];
  const hunter = new Hunter({ address, checks, random, clients, keys, admissionLimitBytes: l1Bytes / 8 });

  const killNowAndThen = async () => {
    const pauseMs = (1000 * options.number("seconds")) / (kills + 1);
    for (let kill = 1; kill <= kills; kill++) {
      await wait(pauseMs);
      const isOver = hunter.tally.death();
      server.tell(`kill ${random.below(workers)}`);
      const isReplaced = (status: Status) =>
        status.worker_restarts === kill && status.workers.every(({ state }) => state === "ready");
      const status = await until(() => workerStatus(admin), isReplaced, { timeoutMs });
      checks.that("a killed worker is replaced", isReplaced(status), () => JSON.stringify(status.workers));
      // Deno's thread may answer a little longer, with refusals.
      await hunter.tally.operations(200);
      isOver();
    }
    await wait(pauseMs);
  };
  await hunter.run(killNowAndThen());
  const { ended, brokenByDeath, readBytes } = hunter.tally;
  console.log(`${(readBytes / 1e9).toFixed(1)} GB read; ${JSON.stringify(ended.toObject())}`);
  console.log(`connections broken by ${kills} deaths: ${JSON.stringify(brokenByDeath.toObject())}`);

  await hunter.readAll();
  const quiet = await until(() => workerStatus(admin), isQuiet, { timeoutMs });
  checks.that("nothing is reserved, staged, loaded or queued at the end", isQuiet(quiet), () => JSON.stringify(quiet));
  const client = new Client(address, new Ledger());
  const { status } = await client.request({ method: "DELETE", path: "/v1/objects?clear=all" });
  checks.equal("status of the clear", { actual: status, expected: 200 });
  const isEmpty = ({ l1 }: Status) => l1.usedBytes === 0;
  const empty = await until(() => workerStatus(admin), isEmpty, { timeoutMs });
  checks.equal("bytes in use when everything is removed", { actual: empty.l1.usedBytes, expected: 0 });
  checks.equal("objects when everything is removed", { actual: (await listObjects(client, "")).size, expected: 0 });
  checks.equal("workers replaced", { actual: empty.worker_restarts, expected: kills });
  client.close();
  admin.close();
  checks.equal("exit code of a graceful stop", { actual: await server.stop(), expected: 0 });
});
