import type { Metric } from "../src/subscribers/metrics/metric.ts";
import { metricFamilies } from "../src/subscribers/metrics/mod.ts";

/** docs/METRICS.md, from the declarations of the metrics. */
export function metricsMarkdown(): string {
  const rows = metricFamilies.flatMap(({ metrics }) => metrics).map(metricRow);
  const absent = lmcacheAbsent.map(({ prefixes, why }) =>
    `| ${prefixes.map((prefix) => `\`${prefix}*\``).join(", ")} | ${why} |`
  );
  return `${INTRODUCTION}${rows.join("\n")}\n${ABSENT}${absent.join("\n")}\n`;
}

/** A metric's row in the table of docs/METRICS.md. */
export function metricRow({ kind, name, about, feed }: Metric): string {
  const quoted = (names: readonly string[]) => names.map((each) => `\`${each}\``).join(", ");
  const fedBy = quoted(Object.keys(feed.measures)) || "state at collection";
  const { unit, labels = [], help, answers } = about;
  return `| \`${name}\` | ${kind} | ${unit} | ${quoted(labels)} | ${help} | ${answers} | ${fedBy} |`;
}

const INTRODUCTION = `<!-- deno-fmt-ignore-file -->
# Metrics

Generated from src/subscribers/metrics/families/ by \`bun run docs\`. Do not edit.

\`GET /metrics\` returns all metrics as Prometheus text; OTLP push (\`OTEL_EXPORTER_OTLP_ENDPOINT\`) sends the same names and values. On \`/metrics\`, every series
has the label \`service_instance_id\`. A series of a counter or a gauge exists at zero from the first scrape if its label values are known by then, one of a histogram from its first value.
The names are a contract. \`lmcache_mp_*\` are LMCache's names, with LMCache's meaning; a chunk is an object here, and an object
counts as one token. The last table lists the series of LMCache that Vitrine does not have, and why. LMCache's labels \`model_name\`, \`worker_id\`, \`l1_tag\` and \`backend\` have no meaning here.

\`cache_salt\` is the tenant. The tenant without a name has no such label, the N tenants with the most traffic (\`--tenant-labels\`) have a value of their own, and all others share \`_other\`.
A tenant gets a value of its own when it has more than twice the traffic of the smallest tenant that has one; the smallest tenant's counts are then added to \`_other\`. So sums over
all tenants are exact, but the series of one tenant may start again at zero.

| name | kind | unit | labels | meaning | question it answers | source |
|---|---|---|---|---|---|---|
`;

const ABSENT = `
## LMCache's series that Vitrine does not have

Vitrine has all other series of LMCache's multiprocess mode: those of the original design, of the newest catalogue and of the stock Grafana dashboard.
It does not have the names of the older in-process engine (\`lmcache:*\`).

| name | why |
|---|---|
`;

/** LMCache's series without a meaning here, by the prefixes of their names. */
export interface AbsentSeries {
  readonly prefixes: readonly string[];
  readonly why: string;
}

/**
 * The series that LMCache's multiprocess mode exports and Vitrine does not, with the reasons. All its other series are
 * in the table of metrics.
 */
export const lmcacheAbsent: readonly AbsentSeries[] = [
  {
    prefixes: ["lmcache_mp_l0_l1_", "lmcache_mp_transfer_"],
    why:
      "Copies between GPU and memory. There is no GPU here; vitrine_http_*_body_bytes_total have the throughput of objects.",
  },
  {
    prefixes: ["lmcache_mp_l0_block_"],
    why: "Lifetimes of blocks in GPU memory. There is no GPU here; lmcache_mp_l1_chunk_* have the lifetimes in L1.",
  },
  {
    prefixes: [
      "lmcache_mp_num_submitted_stores",
      "lmcache_mp_num_finished_stores",
      "lmcache_mp_num_submitted_retrieves",
      "lmcache_mp_num_finished_retrieves",
    ],
    why: "Copies in a GPU's stream. There is no GPU here; http_server_active_requests has the requests in progress.",
  },
  {
    prefixes: ["lmcache_mp_lookup_early_exit_"],
    why:
      "Lookups that an engine ends early (no GPU context, no chunk). A request for an object always performs its lookup.",
  },
  {
    prefixes: ["lmcache_mp_key_directory_"],
    why:
      "A coordinator's directory over several servers. There is none; vitrine_objects and vitrine_used_bytes have the contents of each tier.",
  },
  {
    prefixes: ["grpc_"],
    why: "LMCache's gRPC plugin. Vitrine serves HTTP and has http_server_* of the semantic conventions.",
  },
  {
    prefixes: ["lmcache_blend_"],
    why: "Blending of chunks for an engine, and its serialisation. Objects are bytes here.",
  },
];
