import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { ensureInstalled } from "../tools/debian.ts";
import type { Checks } from "../support/checks.ts";

/** A page in a browser, and what went wrong in it. */
export interface WatchedPage {
  readonly page: Page;
  /** Warnings and errors on its console, also of the Content-Security-Policy, and what was thrown. */
  readonly faults: readonly string[];
  /** Where it asked elsewhere than at its own origin. */
  readonly foreign: readonly string[];
}

/** Debian's Chromium, installed if it is not there; `args` are flags of its own. */
export async function startBrowser(args: readonly string[] = []): Promise<Browser> {
  ensureInstalled({ chromium: "chromium", "fc-list": "fontconfig" });
  // Root has no sandbox, and a container little shared memory.
  return await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage", ...args],
  });
}

/** Opens `url` as a visitor of its own. */
export async function openPage(browser: Browser, url: string, options: BrowserContextOptions): Promise<WatchedPage> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const faults: string[] = [];
  const foreign: string[] = [];
  page.on("console", (message) => {
    if (["warning", "error"].includes(message.type())) faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) foreign.push(request.url());
  });
  await page.goto(url);
  return { page, faults, foreign };
}

/** Nothing went wrong so far, and nothing was asked of others. */
export function checkClean(name: string, { faults, foreign }: WatchedPage, checks: Checks): void {
  checks.equal(`${name}: faults`, { actual: faults, expected: [] });
  checks.equal(`${name}: requests to others`, { actual: foreign, expected: [] });
}
