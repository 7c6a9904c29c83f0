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
  const fedBy = quoted(Object.keys(feed.measures)) || "state when collected";
  const { unit, labels = [], help, answers } = about;
  return `| \`${name}\` | ${kind} | ${unit} | ${quoted(labels)} | ${help} | ${answers} | ${fedBy} |`;
}

const INTRODUCTION = `<!-- deno-fmt-ignore-file -->
# Metrics

Generated from src/subscribers/metrics/families/ by \`bun run docs\`. Do not edit.

\`GET /metrics\` shows all of them as Prometheus text; OTLP push (\`OTEL_EXPORTER_OTLP_ENDPOINT\`) sends the same names and values. Every series
carries \`service_instance_id\` on \`/metrics\`, and, but for the histograms of requests, exists at zero from the first scrape wherever its label values are known by then.
The names are a contract. \`lmcache_mp_*\` are LMCache's names and mean what LMCache means by them; a chunk is an object here, and an object
counts as one token. The last table says which series of LMCache are not here, and why; of its labels \`model_name\`, \`worker_id\`, \`l1_tag\` and \`backend\` have no meaning here.

\`cache_salt\` is the tenant: no label for the tenant without a name, a value of its own for the N tenants with most traffic (\`--tenant-labels\`), \`_other\` for
the rest. A tenant takes over a label when it has more than twice the traffic of the least that has one, whose counts are then added to \`_other\`: sums over
all tenants are exact, a single tenant's series may begin again at zero.

| name | kind | unit | labels | what it is | what question it answers | fed by |
|---|---|---|---|---|---|---|
`;

const ABSENT = `
## LMCache's series that are not here

All others of its multiprocess mode are: those of its original design, those of its newest catalogue, and what its stock Grafana dashboard asks for.
Its older in-process engine's names (\`lmcache:*\`) are not.

| name | why |
|---|---|
`;

/** A group of LMCache's series, by the beginnings of their names, that has no meaning here. */
export interface AbsentSeries {
  readonly prefixes: readonly string[];
  readonly why: string;
}

/**
 * What LMCache's multiprocess mode exports and Vitrine does not, and why; all its other series are in the table of
 * metrics.
 */
export const lmcacheAbsent: readonly AbsentSeries[] = [
  {
    prefixes: ["lmcache_mp_l0_l1_", "lmcache_mp_transfer_"],
    why:
      "Copies between GPU and memory: no GPU here. How fast objects come and go is in vitrine_http_*_body_bytes_total.",
  },
  {
    prefixes: ["lmcache_mp_l0_block_"],
    why: "Lifetimes of blocks in GPU memory: no GPU here. L1's are in lmcache_mp_l1_chunk_*.",
  },
  {
    prefixes: [
      "lmcache_mp_num_submitted_stores",
      "lmcache_mp_num_finished_stores",
      "lmcache_mp_num_submitted_retrieves",
      "lmcache_mp_num_finished_retrieves",
    ],
    why: "Copies in a GPU's stream: no GPU here. What is under way is in http_server_active_requests.",
  },
  {
    prefixes: ["lmcache_mp_lookup_early_exit_"],
    why:
      "An engine's lookup that ends without looking (no GPU context, no chunk): a request for an object always looks.",
  },
  {
    prefixes: ["lmcache_mp_key_directory_"],
    why:
      "A coordinator's directory over several servers: there is none. What is where: vitrine_objects and vitrine_used_bytes.",
  },
  {
    prefixes: ["grpc_"],
    why: "Its gRPC plugin: this is HTTP, with the semantic conventions' http_server_*.",
  },
  {
    prefixes: ["lmcache_blend_"],
    why: "Blending of chunks for an engine, and its serialisation: objects are bytes here.",
  },
];
