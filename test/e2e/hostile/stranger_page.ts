import { once } from "node:events";
import { createServer } from "node:http";
import type { Browser, Page } from "playwright-core";
import { startBrowser } from "../page/browser.ts";
import type { Checks } from "../support/checks.ts";
import { Client } from "../support/http/client.ts";
import { Ledger } from "../support/ledger.ts";
import { ServerProcess } from "../support/server_process.ts";
import { until } from "../support/until.ts";
import type { HostileCase } from "./hostile_case.ts";
import { ATTACK, PIXEL, STORED_PAGE, STORED_PICTURE } from "./stranger/attack_page.ts";

const STRANGER = "evil.example";
const TYPES = [
  "*/*",
  "unknown/unknown",
  "application/unknown",
  "text/html",
  "TEXT/HTML; charset=utf-7",
  "application/xhtml+xml",
  "text/xml",
  "text/plain",
  "",
];

/**
 * Real Chromium: what strangers store does not run as ours, and their pages read and change nothing, also under a name
 * that points here.
 */
export const strangerPage: HostileCase = {
  name: "stranger_page",
  async run({ runtime, folder, checks }) {
    const browser = await startBrowser([`--host-resolver-rules=MAP ${STRANGER} 127.0.0.1`]);
    const flags = { workers: "2", "l1-size": "16MiB", l2: `file://${folder}` };
    const server = await ServerProcess.start({ runtime, flags });
    const client = new Client(server.address, new Ledger());
    const put = async (key: string, body: string | Uint8Array, type: string) => {
      const headers = type === "" ? {} : { "content-type": type };
      return (await client.request({ method: "PUT", path: `/v1/objects/${key}`, headers, body: Buffer.from(body) }))
        .status;
    };
    await put("victim", "kept", "text/plain");
    await put("image", PIXEL, "image/png");
    await put("program", "window.ranStored = true", "text/javascript");
    await put("style", "body { color: red }", "text/css");
    await put("page", STORED_PAGE, "text/html");
    const { port } = server.address;
    await openStored(browser, port, { put, checks });
    await visitStrangers(browser, port, checks);
    await rebind(browser, server, checks);
    const { body } = await client.request({ method: "GET", path: "/v1/objects/victim" });
    checks.equal("the victim", { actual: new TextDecoder().decode(body), expected: "kept" });
    const streams = async () =>
      new TextDecoder().decode((await client.request({ method: "GET", path: "/status" })).body);
    const status = await until(streams, (text) => text.includes('"event_streams":0'), { timeoutMs: 5000 });
    checks.that("no stranger listens", status.includes('"event_streams":0'), () => status);
    client.close();
    await browser.close();
    checks.equal("exit code", { actual: await server.stop(), expected: 0 });
  },
};

/** Opens stored pages as their address says, as one who follows a link does. */
async function openStored(
  browser: Browser,
  port: number,
  { put, checks }: {
    readonly put: (key: string, body: string, type: string) => Promise<number>;
    readonly checks: Checks;
  },
): Promise<void> {
  const url = `http://127.0.0.1:${port}`;
  checks.equal("PUT of what is no media type", { actual: await put("x", STORED_PAGE, "nonsense"), expected: 400 });
  const stored = [...TYPES.map((type) => [type, STORED_PAGE] as const), ["image/svg+xml", STORED_PICTURE] as const];
  const page = await browser.newPage();
  for (const [type, body] of stored) {
    checks.equal(`PUT as ${type}`, {
      actual: await put("stored", body, type),
      expected: type === TYPES[0] ? 201 : 200,
    });
    // A body that the browser does not show is downloaded, which ends the visit with an error.
    const shown = await page.goto(`${url}/v1/objects/stored`).then(() => true, () => false);
    const ran = shown && await page.evaluate("document.documentElement.outerHTML.includes('>ran<')").catch(() => false);
    checks.equal(`a stored page runs as ${type}`, { actual: ran, expected: false });
    if (shown) {
      const stolen = await page.evaluate(`fetch("${url}/v1/objects/victim").then((r) => r.status, () => 0)`).catch(() =>
        0
      );
      checks.that(
        `a stored page as ${type} is not of our origin`,
        stolen === 0 || type === "text/plain",
        () => String(stolen),
      );
    }
  }
  await page.goto(`${url}/v1/objects/image`);
  checks.equal("a picture is shown", { actual: await page.evaluate("document.images[0].naturalWidth"), expected: 1 });
  await page.goto(`${url}/`);
  const ours =
    "new Promise((is) => { const i = new Image(); i.onload = () => is(true); i.onerror = () => is(false); i.src = '/v1/objects/image'; })";
  checks.equal("our own page shows it too", { actual: await page.evaluate(ours), expected: true });
  await page.close();
}

/** A page of another site, and one of another port of this machine. */
async function visitStrangers(browser: Browser, port: number, checks: Checks): Promise<void> {
  const stranger = createServer((_request, response) => {
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html><title>stranger</title><body>");
  }).listen(0, "127.0.0.1");
  await once(stranger, "listening");
  const address = stranger.address();
  const from = typeof address === "object" && address !== null ? address.port : 0;
  for (const host of [STRANGER, "127.0.0.1", "localhost"]) {
    const page = await browser.newPage();
    await page.goto(`http://${host}:${from}/`);
    checks.equal(`a page of ${host} comes to`, {
      actual: await attack(page, `http://127.0.0.1:${port}`),
      expected: [],
    });
    await page.close();
  }
  stranger.closeAllConnections();
  stranger.close();
}

/** The stranger's own name points here, so that the browser takes its pages and this server for one origin. */
async function rebind(browser: Browser, { address, adminAddress }: ServerProcess, checks: Checks): Promise<void> {
  for (const { port } of [address, adminAddress]) {
    const url = `http://${STRANGER}:${port}`;
    const page = await browser.newPage();
    // The refusal is a document of that origin; a page served in its place would be one of a public network to
    // Chromium, which guards us against those itself.
    checks.equal("a page by such a name", { actual: (await page.goto(`${url}/`))?.status(), expected: 421 });
    const asked = [
      "GET /v1/objects",
      "GET /v1/objects/victim",
      "DELETE /v1/objects/victim",
      "DELETE /v1/objects?clear=all",
      "PUT /v1/objects/victim",
      "GET /metrics",
      "GET /status",
      "GET /v1/events",
      "GET /page/main.js",
    ];
    for (const each of asked) {
      const [method = "", path = ""] = each.split(" ");
      const actual = await page.evaluate(`fetch("${path}", { method: "${method}" }).then((r) => r.status, String)`);
      checks.equal(`${each} by a name that was made to point here`, { actual, expected: 421 });
    }
    await page.close();
  }
}

async function attack(page: Page, server: string): Promise<unknown> {
  return await page.evaluate(`${ATTACK}("${server}")`);
}
