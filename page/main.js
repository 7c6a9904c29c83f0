// @ts-check
import { figuresOf } from "./figures/figures.js";
import { metricNames } from "./figures/metric_names.js";
import { MetricsWindow } from "./metrics_window.js";
import { parseMetrics } from "./scrape.js";
import { seesNumbers, Session } from "./session.js";
import { Charts } from "./view/charts.js";
import { write } from "./view/dom.js";
import { EventsSection } from "./view/events_section.js";
import { ServerState } from "./view/server_state.js";
import { SessionSection } from "./view/session_section.js";
import { showTables } from "./view/tables.js";
import { showTiles } from "./view/tiles.js";

const everyMs = 2000;
const timeoutMs = 5000;
/** Rates are averages over three intervals: they follow changes and can still be read. */
const windowMs = 3 * everyMs;

const view = new MetricsWindow({ windowMs });
const charts = new Charts({ spanSeconds: 300, gapSeconds: 3 * everyMs / 1000 });
const state = new ServerState();

const session = new Session({ fetch: (url, init) => fetch(url, init), storage: sessionStorage });

const metricsUrl = `metrics?${new URLSearchParams(metricNames.map((name) => ["name[]", name]))}`;

async function readMetrics() {
  const response = await session.fetch(metricsUrl, { cache: "no-store", signal: AbortSignal.timeout(timeoutMs) });
  // The token was revoked, or has fewer rights now.
  if (response.status === 401 || response.status === 403) void session.ask();
  if (!response.ok) throw new Error(`read metrics: status ${response.status}`);
  return await response.text();
}

/** @param {string} text */
function show(text) {
  const scrape = parseMetrics(text);
  const figures = figuresOf(view.add(scrape, performance.now()));
  showTiles(figures);
  showTables(figures);
  charts.add(Date.now() / 1000, figures);
  state.answered({ hasMetrics: !scrape.isEmpty });
}

/** After a failure, the page shows since when its numbers are stale, and tries again. */
async function update() {
  const text = await readMetrics().catch((error) =>
    state.failed(new Date(), { what: "no answer", reason: String(error) })
  );
  if (text === undefined) return;
  try {
    show(text);
  } catch (error) {
    state.failed(new Date(), { what: "an answer that cannot be shown", reason: String(error) });
    reportError(error);
  }
}

/** False if the server would refuse the token for /metrics: such requests would count as failures. */
function maySeeNumbers() {
  const { known } = session;
  return known === "unknown" || (known !== "refused" && seesNumbers(known));
}

/** A hidden page sends no requests. */
async function showWhileVisible() {
  while (!document.hidden) {
    if (maySeeNumbers()) await update();
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  document.addEventListener("visibilitychange", () => void showWhileVisible(), { once: true });
}

write("hint-command", `curl -X PUT --data-binary hello ${new URL("v1/objects/hello", document.baseURI)}`);
await new SessionSection(session).start();
new EventsSection(session).start();
await showWhileVisible();
