import { lmcacheAbsent } from "./lmcache_absent.ts";
import { metricsTable } from "./table.ts";
import type { MetricRow } from "./table_row.ts";

/** docs/METRICS.md, from the table of metrics. */
export function metricsMarkdown(): string {
  const rows: readonly [string, MetricRow][] = Object.entries(metricsTable);
  const absent = lmcacheAbsent.map(({ prefixes, why }) =>
    `| ${prefixes.map((prefix) => `\`${prefix}*\``).join(", ")} | ${why} |`
  );
  return `${INTRODUCTION}${rows.map(([name, row]) => line(name, row)).join("\n")}\n${ABSENT}${absent.join("\n")}\n`;
}

function line(name: string, row: MetricRow): string {
  const labels = row.labels.map((label) => `\`${label}\``).join(", ");
  const from = row.from === "state" ? "state when collected" : row.from.map((event) => `\`${event}\``).join(", ");
  return `| \`${name}\` | ${row.kind} | ${row.unit} | ${labels} | ${row.help} | ${row.answers} | ${from} |`;
}

const INTRODUCTION = `<!-- deno-fmt-ignore-file -->
# Metrics

Generated from src/subscribers/metrics/catalogue/table.ts by \`bun run docs\`. Do not edit.

\`GET /metrics\` shows all of them as Prometheus text; OTLP push (\`OTEL_EXPORTER_OTLP_ENDPOINT\`) sends the same names and values. Every series
carries \`service_instance_id\` on \`/metrics\`, and exists at zero from the first scrape wherever its label values are known by then.
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
