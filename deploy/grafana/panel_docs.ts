import { rows } from "./panels.ts";

/** What each panel of the dashboard means, for docs/OBSERVABILITY.md. */
export function panelsMarkdown(): string {
  return rows.map(({ title, panels }) => {
    const lines = panels.map(({ title: panel, question, action }) => `| ${panel} | ${question} | ${action} |`);
    return `**${title}**\n\n| panel | what it asks | when it looks bad |\n|---|---|---|\n${lines.join("\n")}`;
  }).join("\n\n");
}
