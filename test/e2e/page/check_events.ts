import { createHash } from "node:crypto";
import type { Browser } from "playwright-core";
import type { Checks } from "../support/checks.ts";
import type { Client } from "../support/http/client.ts";
import { objectPath } from "../support/keys.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { ServerProcess } from "../support/server_process.ts";
import { checkClean, openPage, type WatchedPage } from "./browser.ts";

const hostile = `<img src=x onerror="document.title='hacked'">`;

/** Live events come while the list is in view, with what clients named as mere text, and stop when they are paused. */
export async function checkEvents(
  { page }: WatchedPage,
  client: Client,
  { checks, timeoutMs }: { readonly checks: Checks; readonly timeoutMs: number },
): Promise<void> {
  const list = page.locator("#events");
  const isOpen = page.locator("#events-state[data-state=open]");
  await page.locator("#events-types").fill("lookup.finished,l1.removed");
  await page.getByRole("button", { name: "Apply" }).click();
  await page.locator("#events-section").scrollIntoViewIfNeeded();
  await isOpen.waitFor({ timeout: timeoutMs });
  const path = objectPath(hostile);
  const headers = { "vitrine-tenant": hostile };
  await client.request({ method: "PUT", path, headers, body: new Uint8Array(10) });
  await client.request({ method: "GET", path, headers });
  await client.request({ method: "DELETE", path, headers });
  await list.locator("li", { hasText: `key=${hostile}` }).first().waitFor({ timeout: timeoutMs });
  await list.locator("li", { hasText: "reason=deleted" }).first().waitFor({ timeout: timeoutMs });
  await page.locator("#tenants th", { hasText: hostile }).waitFor({ timeout: timeoutMs });
  checks.equal("markup made of a key", { actual: await page.locator("main img").count(), expected: 0 });
  checks.equal("script run by a key", { actual: await page.title(), expected: "Vitrine" });
  await page.getByRole("button", { name: "Pause" }).click();
  await page.locator("#events-state[data-state=closed]").waitFor({ timeout: timeoutMs });
  await page.getByRole("button", { name: "Clear" }).click();
  checks.equal("lines after clearing", { actual: await list.locator("li").count(), expected: 0 });
  await page.locator("#events-types").fill("*");
  await page.getByRole("button", { name: "Resume" }).click();
  await isOpen.waitFor({ timeout: timeoutMs });
}

const SECRET = "vit_of_the_page";

/** Where the server has tokens, the page asks for one, keeps it for the tab and says what it allows. */
export async function checkToken(
  browser: Browser,
  { runtime, checks }: SuiteRun,
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<void> {
  const sha256 = (secret: string) => createHash("sha256").update(secret).digest("hex");
  const tokens = [
    { id: "boss", sha256: sha256(SECRET), scopes: ["read", "admin"] },
    { id: "reader", sha256: sha256(`${SECRET}_2`), scopes: ["read"], tenant: "team", prefix: "builds/" },
  ].map((token) => JSON.stringify(token)).join("\n");
  const flags = { workers: "1", "l1-size": "4MiB", l2: "none", tokens, "worker-timeout": "30s" };
  const server = await ServerProcess.start({ runtime, flags });
  const { host, port } = server.adminAddress;
  const { page, faults, foreign } = await openPage(browser, `http://${host}:${port}`, {});
  checks.equal("the admin port's link to what it has not", {
    actual: await page.getByRole("link", { name: "API" }).isVisible(),
    expected: false,
  });
  const signIn = async (secret: string) => {
    await page.locator("#token").fill(secret, { timeout: timeoutMs });
    await page.getByRole("button", { name: "Sign in" }).click();
  };
  await signIn("vit_of_nobody");
  await page.locator("#sign-in-note", { hasText: "not known" }).waitFor({ timeout: timeoutMs });
  await signIn(`${SECRET}_2`);
  await page.locator("#signed-in-as", { hasText: "reader may read (tenant team, keys that begin with builds/)" })
    .waitFor({ timeout: timeoutMs });
  await page.getByRole("button", { name: "Sign out" }).click();
  await signIn(SECRET);
  await page.locator("[data-state=live]").waitFor({ timeout: timeoutMs });
  await page.locator("#events-section").scrollIntoViewIfNeeded();
  await page.locator("#events-state[data-state=open]").waitFor({ timeout: timeoutMs });
  await page.locator("#events-types").fill("no.such.event");
  await page.getByRole("button", { name: "Apply" }).click();
  await page.locator("#events-state[data-state=failed]", { hasText: "no.such.event" }).waitFor({ timeout: timeoutMs });
  // The tab keeps it, and nothing else does.
  await page.reload();
  await page.locator("#signed-in-as", { hasText: "boss may read, admin" }).waitFor({ timeout: timeoutMs });
  const kept = await page.evaluate("JSON.stringify([localStorage, document.cookie, location.href])");
  checks.that("nothing but the tab keeps the token", !String(kept).includes("vit_"), () => String(kept));
  const { page: other } = await openPage(browser, `http://${host}:${port}`, {});
  await other.locator("#sign-in").waitFor({ timeout: timeoutMs });
  await other.context().close();
  // Chromium reports every refusal.
  checks.equal("faults", { actual: faults.filter((text) => !/status of 40[01]/.test(text)), expected: [] });
  checks.equal("requests to others", { actual: foreign, expected: [] });
  await page.context().close();
  await server.stop();
}

/** A server that everybody may reach and use says so on its page. */
export async function checkExposed(
  browser: Browser,
  { runtime, checks }: SuiteRun,
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<void> {
  const flags = { workers: "1", "l1-size": "4MiB", l2: "none", host: "0.0.0.0", "worker-timeout": "30s" };
  const server = await ServerProcess.start({ runtime, flags, switches: ["insecure-open"] });
  const watched = await openPage(browser, `http://127.0.0.1:${server.address.port}`, {});
  await watched.page.locator("#exposed").waitFor({ timeout: timeoutMs });
  checks.equal("asks for a token", { actual: await watched.page.locator("#sign-in").isVisible(), expected: false });
  checkClean("exposed", watched, checks);
  await watched.page.context().close();
  await server.stop();
}
