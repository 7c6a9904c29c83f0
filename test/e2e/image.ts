/**
 * The images, really built from their Dockerfiles and started: the HTTP contract, health check, push to a real
 * Collector, graceful stop as an engine does it, and a new container over the old one's volume. `bun run e2e:image
 * [--runtime bun|deno] [--seed N]`; needs root.
 */
import { chownSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { contractFor } from "../http/contract.ts";
import { imageConfig, imageSize } from "./image/buildah.ts";
import { Container, isHealthy } from "./image/container.ts";
import { beginDownload } from "./image/drain.ts";
import { buildImage } from "./image/images.ts";
import type { Checks } from "./support/checks.ts";
import { Client } from "./support/http/client.ts";
import { objectPath } from "./support/keys.ts";
import { Ledger } from "./support/ledger.ts";
import { MetricsPage } from "./support/metrics_page.ts";
import { suiteOptions } from "./support/options.ts";
import { Random } from "./support/random.ts";
import { runSuite, type SuiteRun } from "./support/run_suite.ts";
import type { RuntimeName } from "./support/server_process.ts";
import { until } from "./support/until.ts";
import { Collector } from "./tools/collector.ts";
import { collectorProgram } from "./tools/collector_program.ts";
import { freePorts } from "./tools/free_ports.ts";

const mib = 1024 ** 2;
const objectCount = 200;
const largeBytes = 24 * mib;
const options = suiteOptions({});
const started = performance.now();
const tell = (what: string) => console.log(`${((performance.now() - started) / 1000).toFixed(1)} s: ${what}`);

/** The settings that the contract's limits belong to; larger objects than the contract's largest are for the drain. */
const settings = { VITRINE_L1_SIZE: "32MiB", VITRINE_MAX_OBJECT: "6MiB", VITRINE_INSECURE_OPEN: "on" } as const;

/** COPY_LIMIT_BYTES of src/runtime: the server's, whatever runs this suite. */
const copyLimitBytes: Readonly<Record<RuntimeName, number>> = { bun: 64 * 1024, deno: 32 * 1024 };

function folderOf(run: SuiteRun, name: string, uid: number): string {
  const folder = join(run.folder, name);
  mkdirSync(folder);
  chownSync(folder, uid, uid);
  return folder;
}

async function checkContract({ runtime, checks }: SuiteRun, port: number): Promise<void> {
  const limits = { maxObjectBytes: 6 * mib, l1LimitBytes: 4 * mib, copyLimitBytes: copyLimitBytes[runtime] };
  const fetchFrom = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init);
  const sentences = contractFor({ limits, overSockets: true, fetch: fetchFrom });
  for (const sentence of sentences) {
    const failure = await sentence.run().then(() => undefined, String);
    checks.that(sentence.name, failure === undefined, () => failure ?? "");
  }
  tell(`${sentences.length} sentences of the contract`);
}

/** What the Collector was pushed must become what the server shows, for everything that lookups and writes count. */
async function checkPush(client: Client, collector: Collector, checks: Checks): Promise<void> {
  // None of them by tenant: the contract has more tenants than have labels of their own, and the Collector shows a
  // label that is gone a while longer.
  const names = ["vitrine_lookups_total", "vitrine_written_bytes_total", "lmcache_mp_l1_write_keys_total"] as const;
  const sums = (text: string) => {
    if (!text.includes(names[0])) return [];
    const page = new MetricsPage(text);
    return names.map((name) => page.sum(name, { service_instance_id: "in-a-container" }));
  };
  const { shown, pushed } = await until(
    async () => {
      const { body } = await client.request({ method: "GET", path: "/metrics" });
      return { shown: sums(new TextDecoder().decode(body)), pushed: sums(await collector.metricsText()) };
    },
    ({ shown, pushed }) => String(shown) === String(pushed),
    { timeoutMs: 10_000 },
  );
  checks.equal("pushed to the collector", { actual: pushed, expected: shown });
  checks.that("something was counted", shown.length > 0 && shown.every((sum) => sum > 0), () => String(shown));
}

function objectBody(seed: number, index: number): Uint8Array<ArrayBuffer> {
  const random = new Random(seed + index);
  return random.bytes(random.logUniform(100, 100_000));
}

await runSuite("image", options, async (run) => {
  const { checks, runtime } = run;
  const image = buildImage(runtime);
  tell(`${image} built: ${imageSize(image)}`);
  const config = imageConfig(image);
  const uid = Number(config.User.split(":")[0]);
  checks.that("the image's user is not root", uid > 0, () => config.User);
  checks.equal("stop signal", { actual: config.StopSignal, expected: "SIGTERM" });
  checks.equal("entry point", { actual: config.Entrypoint[0], expected: runtime });

  const collector = await Collector.start(collectorProgram(), folderOf(run, "collector", 0));
  const [port = 0, adminPort = 0] = await freePorts(2);
  const address = { host: "127.0.0.1", port };
  const container = {
    image,
    port,
    adminPort,
    volume: folderOf(run, "volume", uid),
    env: {
      ...settings,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.otlpUrl,
      OTEL_METRIC_EXPORT_INTERVAL: "500",
      OTEL_RESOURCE_ATTRIBUTES: "service.instance.id=in-a-container",
    },
  };
  const inVain = await Container.startInVain({ ...container, env: {} });
  checks.equal("exit code without tokens", { actual: inVain.code, expected: 2 });
  checks.that("says what it wants", inVain.output.includes("--tokens-file"), () => inVain.output);
  checks.that("not healthy while nothing runs", !isHealthy(container));
  const first = await Container.start(container);
  tell("started by buildah");
  checks.equal("user of the process", { actual: first.statusField("Uid"), expected: Array(4).fill(String(uid)) });
  checks.that("healthy", isHealthy(container));
  await checkContract(run, port);
  const client = new Client(address, new Ledger());
  await checkPush(client, collector, checks);
  // Acknowledged from memory: the graceful stop has to store them.
  for (let i = 0; i < objectCount; i++) {
    const { status } = await client.request({
      method: "PUT",
      path: objectPath(`kept/${i}`),
      body: objectBody(options.seed, i),
    });
    checks.that("PUT before the stop", status === 201, () => `${status}`);
  }
  client.close();
  checks.equal("exit code after SIGTERM", { actual: await first.stop(), expected: 0 });
  tell("stopped");

  const second = await Container.startAsProcessOne({
    ...container,
    env: { ...container.env, VITRINE_MAX_OBJECT: "64MiB" },
  });
  tell("started as process 1");
  checks.equal("process number in its own table", { actual: second.statusField("NSpid").at(-1), expected: "1" });
  checks.equal("user of process 1", { actual: second.statusField("Uid")[0], expected: String(uid) });
  const again = new Client(address, new Ledger());
  for (let i = 0; i < objectCount; i++) {
    const { status, body } = await again.request({ method: "GET", path: objectPath(`kept/${i}`) });
    const isSame = status === 200 && Buffer.compare(body, objectBody(options.seed, i)) === 0;
    checks.that("an object outlives its container", isSame, () => `kept/${i}: ${status}, ${body.byteLength} bytes`);
  }
  await again.request({ method: "PUT", path: objectPath("large"), body: new Uint8Array(largeBytes) });
  again.close();
  const download = await beginDownload(address, "large");
  const stopping = second.stop();
  checks.equal("a running download ends whole", { actual: await download.finish(), expected: largeBytes });
  checks.equal("exit code of process 1 after SIGTERM", { actual: await stopping, expected: 0 });
  await collector.process.stop();
  tell("stopped while a download ran");
});
