/**
 * Real files through both tiers, a restart, all again, and the client's ledger against /metrics.
 * `bun run e2e:tree [--runtime bun|deno] [--seed N] [--concurrency N] [--objects N]`
 */
import { Client } from "./support/http/client.ts";
import { inParallel } from "./support/in_parallel.ts";
import { Ledger } from "./support/ledger.ts";
import { suiteOptions } from "./support/options.ts";
import { Random } from "./support/random.ts";
import { runSuite, type SuiteRun } from "./support/run_suite.ts";
import { listObjects, untilStored } from "./support/server_api.ts";
import { ServerProcess } from "./support/server_process.ts";
import { compareMetrics, type Holding } from "./tree/compare_metrics.ts";
import { readObject } from "./tree/read_objects.ts";
import { sourceObjects } from "./tree/source_objects.ts";
import { type StoredObject, storeObject } from "./tree/store_objects.ts";

const l1Bytes = 256 * 1024 ** 2;
const admissionLimitBytes = l1Bytes / 8;
const timeoutMs = 30_000;

const options = suiteOptions({ concurrency: 32, objects: 20_000 });
const concurrency = options.number("concurrency");

/** What one server process is asked to do between its start and its graceful stop. */
type Session = (client: Client, ledger: Ledger) => Promise<void>;

async function withServer({ runtime, folder, checks }: SuiteRun, session: Session): Promise<void> {
  const server = await ServerProcess.start({ runtime, flags: { "l1-size": String(l1Bytes), l2: `file://${folder}` } });
  const ledger = new Ledger();
  const client = new Client(server.address, ledger);
  await session(client, ledger);
  client.close();
  checks.equal("exit code of a graceful stop", { actual: await server.stop(), expected: 0 });
}

async function readAll(objects: readonly StoredObject[], client: Client, { checks }: SuiteRun): Promise<void> {
  await inParallel(objects.entries(), concurrency, ([index, object]) => readObject(object, index, { client, checks }));
}

async function compareListing(objects: readonly StoredObject[], client: Client, { checks }: SuiteRun): Promise<void> {
  const expected = objects.map(({ key, sizeBytes }) => [key, sizeBytes] as const);
  checks.equal("the listing", {
    actual: Object.fromEntries(await listObjects(client, "fs")),
    expected: Object.fromEntries(expected),
  });
}

function holdingOf(objects: readonly StoredObject[]): Holding {
  return { objects: objects.length, bytes: objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
}

/** A store of each object beyond L1's limit, and up to three GETs of it in each of `passes` reads. */
function pastL1(objects: readonly StoredObject[], passes: number): number {
  return (1 + 3 * passes) * objects.filter(({ sizeBytes }) => sizeBytes > admissionLimitBytes).length;
}

await runSuite("tree", options, async (run) => {
  const { checks } = run;
  const random = new Random(options.seed);
  const sources = random.shuffled(sourceObjects({ count: options.number("objects"), admissionLimitBytes }));
  const stored: StoredObject[] = [];
  const started = performance.now();
  const tell = (what: string) => console.log(`${((performance.now() - started) / 1000).toFixed(1)} s: ${what}`);
  tell(`${sources.length} objects, ${sources.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)} bytes`);
  await withServer(run, async (client, ledger) => {
    await inParallel(sources.entries(), concurrency, async ([index, source]) => {
      const object = await storeObject(source, index, { client, checks });
      stored.push(object);
      if (index % 4 === 0) await readObject(object, index, { client, checks });
    });
    tell("stored");
    await readAll(random.shuffled(stored), client, run);
    tell("read back");
    await untilStored(client, timeoutMs);
    await compareListing(stored, client, run);
    const held = holdingOf(stored);
    const expected = { ledger, held, heldAtStart: holdingOf([]), pastL1: pastL1(stored, 2) };
    await compareMetrics(client, expected, { checks, timeoutMs });
    tell("compared");
  });
  tell("stopped");
  await withServer(run, async (client, ledger) => {
    tell("started again");
    await readAll(random.shuffled(stored), client, run);
    tell("read again");
    await compareListing(stored, client, run);
    const held = holdingOf(stored);
    await compareMetrics(client, { ledger, held, heldAtStart: held, pastL1: pastL1(stored, 1) }, { checks, timeoutMs });
  });
  tell("done");
});
