/**
 * The real LMCache of PyPI over a server, by its own S3 adapter and by the plugin `vitrine-lmcache`, and SGLang's
 * storage classes over `vitrine-sglang`: without a GPU, 6 GB of disk. Every byte is checked, and their counts equal the
 * server's. `bun run long:lmcache [--runtime bun|deno] [--only cycle|bench|servers|sglang]`
 */
import { join, resolve } from "node:path";
import * as v from "valibot";
import { LmcacheServer } from "./lmcache/lmcache_server.ts";
import type { Checks } from "./support/checks.ts";
import { MetricsPage } from "./support/metrics_page.ts";
import { suiteOptions } from "./support/options.ts";
import { runSuite, type SuiteRun } from "./support/run_suite.ts";
import { ServerProcess } from "./support/server_process.ts";
import { until } from "./support/until.ts";
import { lmcachePrograms, sglangSources } from "./tools/lmcache.ts";
import { run } from "./tools/run.ts";

const KIB = ["64", "12288"];
const CLIENTS = ["vitrine-cache", "vitrine-lmcache", "vitrine-sglang"];
const SCRIPTS = resolve("test/e2e/lmcache");
const PARTS = ["cycle", "bench", "servers", "sglang"];
const ENV = {
  PYTHONPATH: CLIENTS.map((name) => resolve("clients/python", name, "src")).join(":"),
  PYTHONDONTWRITEBYTECODE: "1",
  PYTHONHASHSEED: "0",
  PYTHONUNBUFFERED: "1",
  PYTHONWARNINGS: "ignore",
  LMCACHE_TRACK_USAGE: "false",
  LMCACHE_DISABLE_BANNER: "1",
  DO_NOT_TRACK: "1",
  HF_HUB_OFFLINE: "1",
  OMP_NUM_THREADS: "1",
};

/** A server, and how LMCache is told of it. */
interface Target {
  readonly server: ServerProcess;
  /** By the name of the adapter, its JSON. */
  readonly adapters: Readonly<Record<"s3" | "plugin", string>>;
  readonly checks: Checks;
}

const cycleSchema = v.object({
  counts: v.object({
    stored: v.number(),
    lookup_hits: v.number(),
    lookup_misses: v.number(),
    loaded: v.number(),
    load_failed: v.number(),
  }),
  status: v.nullable(v.record(v.string(), v.number())),
  leases: v.number(),
});
const pagesSchema = v.object({ hits: v.number(), misses: v.number() });

/** The name that is no address belongs to /v1, since 127.0.0.1 is a bucket for S3 clients. */
function urlOf(server: ServerProcess): string {
  return `http://localhost:${server.address.port}`;
}

async function pageOf(server: ServerProcess): Promise<MetricsPage> {
  return new MetricsPage(await (await fetch(`${urlOf(server)}/metrics`)).text());
}

/** What the server has counted between two pages. */
function counted(before: MetricsPage, after: MetricsPage): Readonly<Record<string, number>> {
  const grown = (name: string, labels: Readonly<Record<string, string>> = {}) =>
    after.sum(name, labels) - before.sum(name, labels);
  return {
    hits: grown("vitrine_lookups_total", { result: "hit" }),
    misses: grown("vitrine_lookups_total", { result: "miss" }),
    stored: grown("lmcache_mp_sm_write_succeed_keys_total"),
    heldKeys: grown("vitrine_prefix_lookup_l1_keys_total") + grown("vitrine_prefix_lookup_l2_keys_total"),
    missingKeys: grown("vitrine_prefix_lookup_missing_keys_total"),
    leased: grown("vitrine_lease_taken_objects_total"),
    released: grown("vitrine_lease_released_objects_total"),
  };
}

/** The sum of one of LMCache's counters, by the beginning of its name; 0 before it has counted anything. */
function lmcacheCount(text: string, name: string): number {
  const samples = text.matchAll(new RegExp(`^lmcache_mp_${name}_\\w*total(?:\\{.*\\})? (\\S+)$`, "gm"));
  return samples.reduce((sum, [, value]) => sum + Number(value), 0);
}

/** Runs a program of the folder with LMCache and returns what it printed. */
function python(args: readonly string[]): string {
  return run(join(lmcachePrograms(), "python"), args, { env: ENV });
}

/** The last line that a script printed, which is JSON. */
function lastLine(printed: string): unknown {
  return JSON.parse(printed.trim().split("\n").at(-1) ?? "");
}

/** One adapter alone: chunks of three salts, small ones and ones that S3 uploads in parts. */
async function cycle({ server, adapters, checks }: Target): Promise<void> {
  for (const [name, adapter] of Object.entries(adapters)) {
    for (const kib of KIB) {
      const before = await pageOf(server);
      const { counts, status, leases } = v.parse(
        cycleSchema,
        lastLine(python([join(SCRIPTS, "adapter_cycle.py"), adapter, kib])),
      );
      const found = counted(before, await pageOf(server));
      if (name === "plugin") {
        const { hits, misses, heldKeys, missingKeys, leased = 0, released = 0 } = found;
        checks.equal(`the plugin's counts of ${kib} KiB`, {
          actual: { ...counts, store_failed: 0 },
          expected: { store_failed: 0, ...status },
        });
        checks.equal(`lookups and loads of ${kib} KiB by the plugin are the server's`, {
          actual: { hits, misses, heldKeys, missingKeys },
          expected: {
            hits: counts.loaded,
            misses: counts.load_failed,
            heldKeys: counts.lookup_hits,
            missingKeys: counts.lookup_misses,
          },
        });
        checks.equal(`all leases of ${kib} KiB are released`, {
          actual: [leases, leased - released],
          expected: [0, 0],
        });
      }
      console.log(`${name}, ${kib} KiB: ${JSON.stringify(counts)}, the server ${JSON.stringify(found)}`);
    }
  }
}

/** LMCache's own benchmark of an adapter, for its verification of every byte. */
function bench({ adapters, checks }: Target): Promise<void> {
  for (const [name, adapter] of Object.entries(adapters)) {
    const sizes = ["--num-keys", "16", "--in-flight", "2", "--data-size-kb", "256", "--rounds", "2"];
    const kind = ["--lookup-max-hit-rate", "0.5", "--no-skip-verify"];
    const printed = python([
      join(lmcachePrograms(), "lmcache"),
      "bench",
      "l2",
      "--l2-adapter",
      adapter,
      ...sizes,
      ...kind,
    ]);
    const success = printed.match(/Total success: +\d+/g) ?? [];
    // Stores, lookups (of which about half are to hit), loads.
    checks.that(`${name} stores and loads all in bench l2`, success.length === 3, () => printed);
    checks.equal(`${name}: successes of stores and loads`, {
      actual: [success[0], success[2]].map((text) => Number(text?.split(":")[1])),
      expected: [64, 64],
    });
    checks.that(`${name}: bench l2 verifies the bytes`, /verif\w+ OK/i.test(printed), () => printed);
    console.log(`${name}, bench l2: ${success.join(", ")}`);
  }
  return Promise.resolve();
}

/** Two whole LMCache servers, one after the other: the second has to find what the first has stored. */
async function servers({ server, adapters, checks }: Target): Promise<void> {
  const env = Object.entries(ENV).map(([name, value]) => `${name}=${value}`);
  for (const [name, adapter] of Object.entries(adapters)) {
    const before = await pageOf(server);
    const first = await round(server, { adapter, env });
    const second = await round(server, { adapter, env });
    checks.that(`${name}: the engine compares checksums`, first.sums.length > 0, () => first.printed);
    checks.equal(`${name}: the second retrieves what the first has stored`, {
      actual: second.sums,
      expected: first.sums,
    });
    checks.that(
      `${name}: the second finds all at its first lookup`,
      !second.printed.includes("LOOKUP: 0/"),
      () => second.printed,
    );
    const { lmcache: stored } = first;
    const { lmcache: loaded } = second;
    checks.that(`${name}: LMCache counts chunks`, stored.stored > 0 && loaded.loaded > 0, () => JSON.stringify(loaded));
    checks.equal(`${name}: chunks that LMCache has stored are the server's`, {
      actual: first.counts["stored"],
      expected: stored.stored,
    });
    if (name === "plugin") {
      const { hits, heldKeys = 0, missingKeys = 0, leased = 0, released = 0 } = counted(before, await pageOf(server));
      checks.equal("lookups and loads of LMCache's servers are the server's", {
        actual: { hits, keys: heldKeys + missingKeys },
        expected: { hits: stored.loaded + loaded.loaded, keys: stored.lookedUp + loaded.lookedUp },
      });
      checks.equal("the leases of LMCache's servers are released", { actual: released, expected: leased });
    }
    console.log(`${name}: the first ${JSON.stringify(stored)}, the second ${JSON.stringify(loaded)}`);
  }
}

/** A whole LMCache server with an empty memory, and LMCache's benchmark as its engine. */
async function round(
  server: ServerProcess,
  { adapter, env }: { readonly adapter: string; readonly env: readonly string[] },
) {
  const before = await pageOf(server);
  const lmcache = await LmcacheServer.start(lmcachePrograms(), { adapter, env });
  const flags = {
    "rpc-url": lmcache.rpcUrl,
    url: lmcache.url,
    mode: "cpu",
    "num-tokens": "512",
    "kvcache-shape-spec": "(2,256,16,2,16):float16:4",
    start: "0",
    end: "3",
  };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
  const printed = python([join(lmcachePrograms(), "lmcache"), "bench", "server", ...args]);
  const read = async () => {
    const text = await lmcache.metrics();
    return {
      submitted: lmcacheCount(text, "l2_store_submitted_objects"),
      stored: lmcacheCount(text, "l2_store_completed_objects"),
      lookedUp: lmcacheCount(text, "l2_prefetch_lookup_objects"),
      loaded: lmcacheCount(text, "l2_prefetch_load_completed"),
    };
  };
  // Chunks are stored after the engine has its answer.
  const counts = await until(read, ({ submitted, stored }) => submitted === stored, { timeoutMs: 10_000 });
  await lmcache.stop();
  const sums = [...new Set(printed.match(/CHECKSUM: [0-9a-f]+/g) ?? [])].toSorted();
  return { printed, sums, lmcache: counts, counts: counted(before, await pageOf(server)) };
}

/** SGLang's factory and storage classes over the backend. */
async function sglang({ server, checks }: Target): Promise<void> {
  const before = await pageOf(server);
  const pages = v.parse(
    pagesSchema,
    lastLine(python([join(SCRIPTS, "sglang_pages.py"), sglangSources(), urlOf(server)])),
  );
  const { hits, misses, leased, released } = counted(before, await pageOf(server));
  checks.equal("pages that SGLang's classes read and missed are the server's", {
    actual: { hits, misses },
    expected: pages,
  });
  console.log(`sglang: ${JSON.stringify(pages)}, leased ${leased}, released ${released}`);
}

const parts: Readonly<Record<string, (target: Target) => Promise<void>>> = { cycle, bench, servers, sglang };
const options = suiteOptions({}, { only: PARTS });

await runSuite("lmcache", options, async ({ runtime, folder, checks }: SuiteRun) => {
  const l2 = `file://${join(folder, "tier")}`;
  const flags = { workers: "2", "l1-size": "1GiB", l2, "s3-hosts": "127.0.0.1=kv" };
  const server = await ServerProcess.start({ runtime, flags });
  const { port } = server.address;
  const adapters = {
    plugin: JSON.stringify({
      type: "plugin",
      module_path: "vitrine_lmcache",
      class_name: "VitrineL2Adapter",
      adapter_params: { base_url: `http://localhost:${port}`, num_workers: 4, digest: true },
    }),
    s3: JSON.stringify({
      type: "s3",
      s3_endpoint: `127.0.0.1:${port}`,
      s3_region: "us-east-1",
      s3_num_io_threads: 2,
      s3_prefer_http2: false,
      disable_tls: true,
      aws_access_key_id: "lab",
      aws_secret_access_key: "lab-secret",
    }),
  };
  for (const [name, part] of Object.entries(parts)) {
    if (options.only !== "" && options.only !== name) continue;
    const startMs = performance.now();
    await part({ server, adapters, checks });
    console.log(`${name}: ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
  }
  checks.equal("the server stops", { actual: await server.stop(), expected: 0 });
  if (checks.failed > 0) console.log(server.output.slice(-4000));
});
