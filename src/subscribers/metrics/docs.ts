import { metricsTable } from "./table.ts";
import type { MetricRow } from "./table_row.ts";

/** docs/METRICS.md, from the table of metrics. */
export function metricsMarkdown(): string {
  const rows: readonly [string, MetricRow][] = Object.entries(metricsTable);
  return `${INTRODUCTION}${rows.map(([name, row]) => line(name, row)).join("\n")}\n`;
}

function line(name: string, row: MetricRow): string {
  const labels = row.labels.map((label) => `\`${label}\``).join(", ");
  const from = row.from === "state" ? "state when collected" : row.from.map((event) => `\`${event}\``).join(", ");
  return `| \`${name}\` | ${row.kind} | ${row.unit} | ${labels} | ${row.help} | ${row.answers} | ${from} |`;
}

const INTRODUCTION = `<!-- deno-fmt-ignore-file -->
# Metrics

Generated from src/subscribers/metrics/table.ts by \`bun run docs\`. Do not edit.

\`GET /metrics\` shows all of them as Prometheus text; OTLP push (\`OTEL_EXPORTER_OTLP_ENDPOINT\`) sends the same names and values. Every series
carries \`service_instance_id\` on \`/metrics\`, and exists at zero from the first scrape wherever its label values are known by then.
The names are a contract. \`lmcache_mp_*\` are LMCache's names and mean what LMCache means by them; a chunk is an object here, and an object
counts as one token. LMCache's series of GPU copies (\`l0_*\`, \`num_submitted_*\`, \`num_finished_*\`, \`transfer_*\`), of blending and of early exits have no meaning here.

\`cache_salt\` is the tenant: no label for the tenant without a name, a value of its own for the N tenants with most traffic (\`--tenant-labels\`), \`_other\` for
the rest. A tenant takes over a label when it has more than twice the traffic of the least that has one, whose counts are then added to \`_other\`: sums over
all tenants are exact, a single tenant's series may begin again at zero.

| name | kind | unit | labels | what it is | what question it answers | fed by |
|---|---|---|---|---|---|---|
`;
