import type { Browser } from "playwright-core";
import type { SuiteRun } from "../support/run_suite.ts";
import { ServerProcess } from "../support/server_process.ts";
import { checkClean, openPage } from "./browser.ts";

const lostSeries = /^(?<series>vitrine_eventbus_events_total\{event="lookup.finished",state="lost".*\}) 0$/m;

/** A server that makes no numbers is said to make none. */
export async function checkOff(
  browser: Browser,
  { runtime, checks }: SuiteRun,
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<void> {
  const flags = { workers: "1", "l1-size": "4MiB", l2: "none", observability: "off", "worker-timeout": "30s" };
  const server = await ServerProcess.start({ runtime, flags });
  const { host, port } = server.address;
  const watched = await openPage(browser, `http://${host}:${port}`, {});
  await watched.page.locator("#off").waitFor({ timeout: timeoutMs });
  const text = await watched.page.locator("body").innerText();
  checks.that("without observability", !/NaN|undefined|Infinity/.test(text), () => text);
  checkClean("without observability", watched, checks);
  await watched.page.context().close();
  await server.stop();
}

/** Lost events are plain to see. No server loses any on demand, so its answer is changed on the way. */
export async function checkLost(
  browser: Browser,
  url: string,
  { checks, timeoutMs }: { readonly checks: SuiteRun["checks"]; readonly timeoutMs: number },
): Promise<void> {
  const { page } = await openPage(browser, url, { colorScheme: "light" });
  await page.route("**/metrics?*", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: (await response.text()).replace(lostSeries, "$<series> 12") });
  });
  await page.locator("#tile-lost.alarm").waitFor({ timeout: timeoutMs });
  checks.equal("lost events", { actual: await page.locator("#lost-number").textContent(), expected: "12" });
  checks.equal("lost on the bus", { actual: await page.locator("#bus-lost").textContent(), expected: "12" });
  await page.context().close();
}
