/**
 * The page at `/` in headless Chromium, over a loaded server: it loads, its numbers move and are those of /metrics,
 * live events come, nothing that a client names becomes markup, nothing is wider than a phone. Needs root where
 * Chromium is not installed yet. `bun run e2e:page [--runtime bun|deno] [--seed N] [--screenshots 1]`; the last one
 * writes docs/images instead, after a longer load.
 */
import { isDeepStrictEqual } from "node:util";
import { setTimeout as wait } from "node:timers/promises";
import type { Browser } from "playwright-core";
import { checkClean, openPage, startBrowser, type WatchedPage } from "./page/browser.ts";
import { checkEvents, checkExposed, checkToken } from "./page/check_events.ts";
import { checkLost, checkOff } from "./page/check_states.ts";
import { PageLoad } from "./page/page_load.ts";
import { expectedOf, shownOn } from "./page/shown.ts";
import type { Checks } from "./support/checks.ts";
import { Client } from "./support/http/client.ts";
import { Ledger } from "./support/ledger.ts";
import { MetricsPage } from "./support/metrics_page.ts";
import { suiteOptions } from "./support/options.ts";
import { runSuite, type SuiteRun } from "./support/run_suite.ts";
import { untilStored } from "./support/server_api.ts";
import { ServerProcess } from "./support/server_process.ts";
import { until } from "./support/until.ts";

const timeoutMs = 15_000;
const workers = 2;
const l1Limit = "16 MiB";
const screenshotLoadMs = 100_000;
const desktop = { width: 1440, height: 1130 };
const phone = { width: 400, height: 860 };

const options = suiteOptions({ screenshots: 0 });
const browser = await startBrowser();
const started = performance.now();
const tell = (what: string) => console.log(`${((performance.now() - started) / 1000).toFixed(1)} s: ${what}`);

async function startServer({ runtime, folder }: SuiteRun): Promise<ServerProcess> {
  const flags = {
    workers: String(workers),
    // A browser beside it on two cores: a worker that had to wait is not to be replaced.
    "worker-timeout": "30s",
    "l1-size": l1Limit.replace(" ", ""),
    l2: `file://${folder}`,
  };
  return await ServerProcess.start({ runtime, flags });
}

const urlOf = ({ address }: ServerProcess) => `http://${address.host}:${address.port}`;

async function checkEmpty({ page }: WatchedPage, checks: Checks): Promise<void> {
  await page.locator("#hint").waitFor({ timeout: timeoutMs });
  const text = await page.locator("body").innerText();
  checks.that("an empty server shows no NaN", !/NaN|undefined|Infinity/.test(text), () => text);
  checks.equal("hit rate of nothing", { actual: await page.locator("#hit-rate-number").textContent(), expected: "–" });
  checks.equal("requests of nobody", { actual: await page.locator("#requests-number").textContent(), expected: "0" });
}

async function checkMoves({ page }: WatchedPage, checks: Checks): Promise<void> {
  const figures = [
    "hit-rate-number",
    "requests-number",
    "throughput-number",
    "latency-number",
    "l1-number",
    "commit-changes",
  ];
  for (const id of figures) {
    const shown = await until(
      async () => await page.locator(`#${id}`).textContent() ?? "",
      (text) => Number(text.replace(",", "")) > 0,
      { timeoutMs },
    );
    checks.that(`${id} moves under load`, Number(shown.replace(",", "")) > 0, () => shown);
  }
  checks.equal("the hint under load", { actual: await page.locator("#hint").isVisible(), expected: false });
}

/** At a quiet moment the page must show what /metrics has, to the digit. */
async function checkExact(watched: readonly WatchedPage[], client: Client, checks: Checks): Promise<void> {
  await untilStored(client, timeoutMs);
  for (const { page } of watched) {
    await page.bringToFront();
    const read = async () => {
      const { body } = await client.request({ method: "GET", path: "/metrics" });
      const expected = expectedOf(new MetricsPage(new TextDecoder().decode(body)), { l1Limit, workers });
      return { actual: await shownOn(page), expected };
    };
    const same = await until(read, ({ actual, expected }) => isDeepStrictEqual(actual, expected), { timeoutMs });
    checks.equal("the texts of the page", { actual: same.actual.texts, expected: same.expected.texts });
    checks.equal(
      "its tenants",
      same.actual.tenants.length > 0
        ? { actual: same.actual.tenants, expected: same.expected.tenants }
        : { actual: 0, expected: "some" },
    );
    checks.equal("its removals", { actual: same.actual.removals, expected: same.expected.removals });
  }
}

async function checkLook(
  views: Readonly<Record<"light" | "dark" | "narrow", WatchedPage>>,
  checks: Checks,
): Promise<void> {
  for (const [name, { page }] of Object.entries(views)) {
    const wider = await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth");
    checks.equal(`${name}: wider than the window`, { actual: wider, expected: false });
    checks.equal(`${name}: charts`, { actual: await page.locator("figure canvas").count(), expected: 8 });
  }
  const ground = ({ page }: WatchedPage) => page.evaluate("getComputedStyle(document.body).backgroundColor");
  checks.that("dark is not light", await ground(views.dark) !== await ground(views.light));
}

/** Light, dark, and as wide as a phone. */
async function openViews(browser: Browser, url: string) {
  const [light, dark, narrow] = await Promise.all([
    openPage(browser, url, { colorScheme: "light", viewport: desktop }),
    openPage(browser, url, { colorScheme: "dark", viewport: desktop, reducedMotion: "reduce" }),
    openPage(browser, url, { colorScheme: "light", viewport: phone, hasTouch: true, deviceScaleFactor: 2 }),
  ]);
  return { light, dark, narrow };
}

async function checkPage(run: SuiteRun): Promise<void> {
  const { checks } = run;
  const server = await startServer(run);
  const client = new Client(server.address, new Ledger());
  const views = await openViews(browser, urlOf(server));
  await checkEmpty(views.light, checks);
  tell("loaded, empty");
  const load = new PageLoad(urlOf(server), options.seed);
  await checkMoves(views.light, checks);
  tell("moved");
  await load.stop();
  await checkEvents(views.light, client, { checks, timeoutMs });
  tell("events came");
  await checkExact([views.light, views.narrow], client, checks);
  await checkLook(views, checks);
  tell("compared");
  await checkLost(browser, urlOf(server), { checks, timeoutMs });
  for (const [name, view] of Object.entries(views)) checkClean(name, view, checks);
  client.close();
  checks.equal("exit code of a graceful stop", { actual: await server.stop(), expected: 0 });
  await views.light.page.locator("[data-state=stale] #state", { hasText: "no answer since" }).waitFor({
    timeout: timeoutMs,
  });
  for (const { page } of Object.values(views)) await page.context().close();
}

async function takeScreenshots(run: SuiteRun): Promise<void> {
  const server = await startServer(run);
  const load = new PageLoad(urlOf(server), options.seed);
  const views = await openViews(browser, urlOf(server));
  await wait(screenshotLoadMs);
  for (const [name, { page }] of Object.entries(views)) {
    await page.bringToFront();
    await page.locator("#events-section").scrollIntoViewIfNeeded();
    await page.locator("#events li").nth(20).waitFor({ timeout: timeoutMs });
    await page.evaluate("scrollTo(0, 0)");
    await page.screenshot({ path: `docs/images/page_${name}.png`, fullPage: name !== "narrow" });
  }
  await load.stop();
  await server.stop();
}

if (options.number("screenshots") > 0) {
  await runSuite("page", { ...options, runtimes: ["bun"] }, takeScreenshots);
} else {
  await runSuite("page", options, async (run) => {
    await checkPage(run);
    await checkToken(browser, run, { timeoutMs });
    await checkExposed(browser, run, { timeoutMs });
    await checkOff(browser, run, { timeoutMs });
    tell("token asked for, silence explained");
  });
}
