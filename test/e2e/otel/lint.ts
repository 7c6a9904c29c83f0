import type { Checks } from "../support/checks.ts";
import type { Client } from "../support/http/client.ts";
import { promtool } from "../tools/promtool.ts";

/** What promtool finds in names that are LMCache's own: GB is not a base unit. */
const waived = /^lmcache_mp_\w+_GB_per_second metric names should not contain abbreviated units$/;

/** The metrics page must pass `promtool check metrics`. */
export async function checkMetricsPage(when: string, client: Client, checks: Checks): Promise<void> {
  const { body } = await client.request({ method: "GET", path: "/metrics" });
  const { output } = promtool(["check", "metrics"], new TextDecoder().decode(body));
  const found = output.split("\n").filter((line) => line !== "" && !waived.test(line));
  checks.equal(`${when}: promtool check metrics`, { actual: found, expected: [] });
}
