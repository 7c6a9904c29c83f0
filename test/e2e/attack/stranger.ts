import { setTimeout as wait } from "node:timers/promises";
import { formatToken, SCOPES } from "../../../src/access/tokens.ts";
import { testToken } from "../../http/tokens.ts";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { startBrowser } from "../page/browser.ts";
import type { Checks } from "../support/checks.ts";
import { Client } from "../support/http/client.ts";
import { Ledger } from "../support/ledger.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { ServerProcess } from "../support/server_process.ts";
import { until } from "../support/until.ts";
import type { PartOptions } from "./part.ts";
import { ATTEMPTS, PIXEL, storedPage, storedPdf, storedPicture, storedProgram } from "./stranger/attempts.ts";
import { StrangersSite } from "./stranger/strangers_site.ts";

const STRANGER = "evil.example";
/** A site whose pages may use the server, where one is configured. */
const FRIEND = "app.example";
const TYPES = [
  "*/*",
  "unknown/unknown",
  "text/html",
  "TEXT/HTML; charset=utf-7",
  "application/xhtml+xml",
  "text/xml",
  "text/plain",
  "",
];
const timeoutMs = 15_000;
const FRAME_MS = 500;
/** Those of an object; a list has the first two, and what is only read the first. */
const METHODS = ["GET", "DELETE", "PUT"];

/** How a server is set up, in what concerns web pages. */
type Posture = "open" | "open and CORS" | "tokens" | "tokens and CORS";

/** The short form takes the two that differ most. */
const SHORT: readonly Posture[] = ["open", "tokens and CORS"];
const LONG: readonly Posture[] = ["open", "open and CORS", "tokens", "tokens and CORS"];
const LONG_SECONDS = 60;

/** One server, with the sites that attack it and a browser whose user is signed in to the dashboard. */
interface Scene {
  readonly posture: Posture;
  readonly browser: Browser;
  readonly server: ServerProcess;
  readonly site: StrangersSite;
  readonly friend: StrangersSite;
  readonly checks: Checks;
  /** Where the server has tokens: one for everything. */
  readonly token: string;
  readonly client: Client;
  readonly request: (
    method: string,
    path: string,
    more?: { readonly type?: string; readonly body?: string | Uint8Array },
  ) => Promise<{ readonly status: number; readonly text: string }>;
}

/**
 * Real Chromium: pages of other origins read and change nothing, also under a name that points here and with a token,
 * and what strangers store does not run as ours.
 */
export async function stranger(run: SuiteRun, { seconds }: PartOptions): Promise<void> {
  const rules = [STRANGER, FRIEND].map((name) => `MAP ${name} 127.0.0.1`).join(", ");
  const browser = await startBrowser([`--host-resolver-rules=${rules}`]);
  await control(browser, run.checks);
  for (const posture of seconds < LONG_SECONDS ? SHORT : LONG) await attackServer(posture, browser, run);
  await browser.close();
}

/** The attempts succeed where a server lets them: else nothing would be shown by their failure. */
async function control(browser: Browser, checks: Checks): Promise<void> {
  const [site, open] = [await StrangersSite.start(), await StrangersSite.start({ isOpen: true })];
  const context = await browser.newContext();
  const done = await attempt(context, `http://${STRANGER}:${site.port}/`, { server: `http://127.0.0.1:${open.port}` });
  checks.that("attempts succeed on a server that lets them", done.length > 25, () => done.join("\n"));
  await context.close();
  site.close();
  open.close();
}

async function attackServer(posture: Posture, browser: Browser, { runtime, folder, checks }: SuiteRun): Promise<void> {
  const [site, friend] = [await StrangersSite.start(), await StrangersSite.start()];
  const { secret, entry } = testToken("all", { scopes: [...SCOPES] });
  const flags = {
    workers: "2",
    "l1-size": "16MiB",
    l2: `file://${folder}/${posture.replaceAll(" ", "-")}`,
    ...(posture.startsWith("open") ? {} : { tokens: formatToken(entry) }),
    ...(posture.endsWith("CORS") ? { "cors-origins": `http://${FRIEND}:${friend.port}` } : {}),
  };
  const server = await ServerProcess.start({ runtime, flags });
  const client = new Client(server.address, new Ledger());
  const token = posture.startsWith("open") ? "" : secret;
  const own = token === "" ? {} : { authorization: `Bearer ${token}` };
  const scene: Scene = {
    posture,
    browser,
    server,
    site,
    friend,
    checks,
    token,
    client,
    async request(method, path, { type, body } = {}) {
      const headers = { ...own, ...(type === undefined ? {} : { "content-type": type }) };
      const sent = body === undefined ? {} : { body: Buffer.from(body) };
      const answer = await client.request({ method, path, headers, ...sent });
      return { status: answer.status, text: new TextDecoder().decode(answer.body) };
    },
  };
  await fill(scene);
  const before = await stateOf(scene);
  const user = await signedIn(scene);
  await visitStrangers(user, scene);
  await rebind(scene);
  await openStored(user, scene);
  checks.equal(`${posture}: where stored programs ran`, { actual: site.told, expected: [] });
  checks.equal(`${posture}: what is stored, afterwards`, { actual: await stateOf(scene), expected: before });
  const streams = async () => (await scene.request("GET", "/status")).text;
  await user.close();
  const status = await until(streams, (text) => text.includes('"event_streams":0'), { timeoutMs });
  checks.that(`${posture}: nobody listens any more`, status.includes('"event_streams":0'), () => status);
  client.close();
  site.close();
  friend.close();
  checks.equal(`${posture}: exit code`, { actual: await server.stop(), expected: 0 });
}

async function fill({ request, site, checks, posture }: Scene): Promise<void> {
  const home = `http://127.0.0.1:${site.port}`;
  const stored: readonly (readonly [string, string, string | Uint8Array])[] = [
    ["victim", "text/plain", "kept"],
    ["image", "image/png", PIXEL],
    ["program", "text/javascript", storedProgram(home)],
    ["style", "text/css", `body { background: url(${home}/ran) }`],
    ["page", "text/html", storedPage(home)],
    ["pdf", "application/pdf", storedPdf(home)],
    ["picture", "image/svg+xml", storedPicture(home)],
    ...TYPES.map((type, number) => [`page ${number}`, type, storedPage(home)] as const),
  ];
  for (const [key, type, body] of stored) {
    const { status } = await request("PUT", `/v1/objects/${encodeURIComponent(key)}`, { ...(type && { type }), body });
    checks.equal(`${posture}: PUT of ${key} as ${type}`, { actual: status, expected: 201 });
  }
}

/** All objects with their sizes and times, and the bytes of one. */
async function stateOf({ request }: Scene): Promise<readonly string[]> {
  const listing = (await request("GET", "/v1/objects?limit=1000")).text.replaceAll(/"age_seconds":[\d.]+/g, "");
  return [listing, (await request("GET", "/v1/objects/victim")).text];
}

/** A user of the dashboard, signed in where the server has tokens, who then visits other sites. */
async function signedIn({ browser, server, token, posture, checks }: Scene): Promise<BrowserContext> {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${server.address.port}/`);
  if (token !== "") {
    await page.locator("#token").fill(token, { timeout: timeoutMs });
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.locator("#signed-in-as", { hasText: "all may" }).waitFor({ timeout: timeoutMs });
  }
  await page.locator("[data-state=live]").waitFor({ timeout: timeoutMs });
  const kept = await page.evaluate("sessionStorage.length");
  checks.that(`${posture}: the tab keeps the token`, token === "" || Number(kept) > 0);
  return context;
}

/** What the page at `address` succeeds in. */
async function attempt(
  context: BrowserContext,
  address: string,
  { server, token = "" }: { readonly server: string; readonly token?: string },
): Promise<readonly string[]> {
  const page = await context.newPage();
  await page.goto(address);
  const done: unknown = await page.evaluate(`${ATTEMPTS}(${JSON.stringify({ server, token })})`);
  for (const frame of page.frames().slice(1)) {
    // A frame whose address is refused or saved may never have a document.
    const title: unknown = await Promise.race([frame.evaluate("document.title").catch(() => ""), wait(FRAME_MS, "")]);
    if (title === "Vitrine" && Array.isArray(done)) done.push("framed the dashboard");
  }
  await page.close();
  return Array.isArray(done) ? done.map(String) : [];
}

/** Pages of another site, and of other ports of this machine, alone and with a token that they should not have. */
async function visitStrangers(user: BrowserContext, scene: Scene): Promise<void> {
  const { posture, server, site, friend, token, checks } = scene;
  const target = `http://127.0.0.1:${server.address.port}`;
  const admin = `http://127.0.0.1:${server.adminAddress.port}`;
  // Pages of this machine's own names are tried once.
  const others = [["localhost", target], ["127.0.0.1", admin]];
  for (const [host = "", to = ""] of [[STRANGER, target], ...(posture === "open" ? others : [])]) {
    const done = await attempt(user, `http://${host}:${site.port}/`, { server: to, token });
    const name = `${posture}: ${host}${token === "" ? "" : " with a token"} comes to`;
    checks.equal(name, { actual: done, expected: [] });
  }
  if (!posture.endsWith("CORS")) return;
  const page = await user.newPage();
  await page.goto(`http://${FRIEND}:${friend.port}/`);
  const read = (headers: object) =>
    page.evaluate(`fetch("${target}/v1/objects/victim", ${JSON.stringify({ headers })}).then((r) => r.status, String)`);
  checks.equal(`${posture}: a page of a configured origin reads`, {
    actual: [await read({ authorization: `Bearer ${token}` }), await read({})],
    expected: [200, token === "" ? 200 : 401],
  });
  await page.close();
}

/** The stranger's own name points here, so that the browser takes its pages and this server for one origin. */
async function rebind({ browser, server, posture, checks }: Scene): Promise<void> {
  for (const { port } of [server.address, server.adminAddress]) {
    const page = await browser.newPage();
    const first = await page.goto(`http://${STRANGER}:${port}/`);
    // With tokens names are not checked: such a page has no token, and what it may load says nothing of the objects.
    const [open, refused] = posture.startsWith("open") ? [421, 421] : [200, 401];
    checks.equal(`${posture}: a page by such a name`, { actual: first?.status(), expected: open });
    checks.equal(`${posture}: what the tab keeps by such a name`, {
      actual: await page.evaluate("sessionStorage.length").catch(() => 0),
      expected: 0,
    });
    const paths = ["/v1/objects", "/v1/objects/victim", "/v1/objects?clear=all", "/metrics", "/status", "/v1/events"];
    for (const path of paths) {
      for (const method of METHODS.slice(0, path.includes("objects/") ? 3 : path.includes("objects") ? 2 : 1)) {
        // With credentials the browser would ask its user for a password.
        const init = JSON.stringify({ method, credentials: "omit" });
        const actual = await page.evaluate(`fetch("${path}", ${init}).then((r) => r.status, String)`);
        checks.that(
          `${posture}: ${method} ${path} by a name that was made to point here`,
          actual === refused || (actual === 404 && port === server.adminAddress.port),
          () => String(actual),
        );
      }
    }
    await page.close();
  }
}

/** Opens what is stored: in a tab, from the dashboard, and in a frame of it, with the token where there is one. */
async function openStored(user: BrowserContext, { posture, server, token, checks }: Scene): Promise<void> {
  const url = `http://127.0.0.1:${server.address.port}`;
  const [dashboard] = user.pages();
  if (token !== "") await user.setExtraHTTPHeaders({ authorization: `Bearer ${token}` });
  const paths = ["page", "pdf", "picture", "program", ...TYPES.map((_, number) => `page ${number}`)]
    .map((key) => `/v1/objects/${encodeURIComponent(key)}`);
  const page = await user.newPage();
  for (const path of paths) {
    // What the browser does not show is downloaded, which ends the visit with an error.
    const shown = await page.goto(url + path).then(() => true, () => false);
    const stolen = shown ? await page.evaluate("sessionStorage.length").catch(() => "refused") : "refused";
    checks.that(`${posture}: ${path} has no origin`, stolen === "refused" || stolen === 0, () => String(stolen));
  }
  await page.goto(`${url}/v1/objects/image`);
  checks.equal(`${posture}: a picture is shown`, { actual: await naturalWidth(page), expected: 1 });
  await page.close();
  await dashboard?.evaluate(`Promise.all(${JSON.stringify(paths)}.map((path) => new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.onload = resolve;
    setTimeout(resolve, 1000);
    frame.src = path;
    document.body.append(frame);
    setTimeout(() => window.open(path)?.close(), 700);
  })))`);
}

async function naturalWidth(page: Page): Promise<unknown> {
  return await page.evaluate("document.images[0].naturalWidth");
}
