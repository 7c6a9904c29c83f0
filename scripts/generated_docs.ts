import { dashboardJson } from "../deploy/grafana/dashboard.ts";
import { panelsMarkdown } from "../deploy/grafana/panel_docs.ts";
import { settingsTable } from "../src/config/settings.ts";
import { eventsMarkdown } from "./event_docs.ts";
import { metricsMarkdown } from "./metric_docs.ts";

/** A file in which something is generated. */
export interface GeneratedDoc {
  readonly path: string;
  /** The file's text as it must be, given the text as it is ("" if there is no file). */
  readonly render: (current: string) => string;
}

/** Replaces what stands between `<!-- name:start -->` and `<!-- name:end -->`; the markers keep their lines. */
function between(current: string, name: string, text: string): string {
  const parts = new RegExp(`^(?<head>.*<!-- ${name}:start -->\n).*(?<tail><!-- ${name}:end -->.*)$`, "s").exec(current);
  if (parts?.groups === undefined) throw new Error(`no markers to write between: ${name}`);
  // The formatter would pad the table's columns.
  const shielded = `<!-- deno-fmt-ignore-start -->\n\n${text}\n\n<!-- deno-fmt-ignore-end -->`;
  return `${parts.groups["head"]}\n${shielded}\n\n${parts.groups["tail"]}`;
}

/** Every generated text of the documentation. */
export const generatedDocs: readonly GeneratedDoc[] = [
  { path: "README.md", render: (current) => between(current, "settings", settingsTable()) },
  { path: "docs/EVENTS.md", render: eventsMarkdown },
  { path: "docs/METRICS.md", render: metricsMarkdown },
  { path: "docs/OBSERVABILITY.md", render: (current) => between(current, "panels", panelsMarkdown()) },
  { path: "deploy/grafana/dashboards/vitrine.json", render: dashboardJson },
];
