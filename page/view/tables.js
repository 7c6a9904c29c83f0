// @ts-check
import { byId, make, write } from "./dom.js";
import { formatAge, formatBytes, formatCount, formatLatency, formatPercent, formatRate } from "../format.js";

/** @typedef {import("../figures/figures.js").Figures} Figures */

/**
 * Fills the body of a table. Its head decides how columns are aligned: text left, numbers right.
 * @param {string} id of the table
 * @param {readonly (readonly string[])[]} rows
 */
function fillTable(id, rows) {
  const table = byId(id, HTMLTableElement);
  const heads = Array.from(table.tHead?.rows[0]?.cells ?? []);
  const body = table.tBodies[0] ?? table.createTBody();
  if (rows.length === 0) {
    const empty = make("td", { class: "empty" }, table.dataset["empty"] ?? "");
    empty.setAttribute("colspan", String(heads.length));
    body.replaceChildren(make("tr", {}, empty));
    return;
  }
  body.replaceChildren(...rows.map((row) =>
    make(
      "tr",
      {},
      ...row.map((text, column) => {
        const kind = heads[column]?.className ?? "";
        if (column > 0) return make("td", { class: kind }, text);
        const head = make("th", { class: kind, title: text }, text);
        head.setAttribute("scope", "row");
        return head;
      }),
    )
  ));
}

const tenantLimit = 12;

/** @param {number | undefined} seconds */
const latency = (seconds) => seconds === undefined ? "–" : formatLatency(seconds);

/** @param {Figures} figures */
function showTiers({ tiers, server, commits }) {
  fillTable(
    "tiers",
    tiers.map(({ tier, objects, usedBytes, limitBytes, oldestSeconds, failures }) => [
      tier,
      objects === undefined ? "not known" : formatCount(objects),
      usedBytes === undefined ? "not known" : formatBytes(usedBytes),
      limitBytes === undefined ? "not known" : limitBytes === 0 ? "none" : formatBytes(limitBytes),
      oldestSeconds === undefined ? "–" : formatAge(oldestSeconds),
      formatCount(failures),
    ]),
  );
  write("store-queue", `${formatCount(server.storeQueueEntries)} objects`);
  write("store-queue-bytes", formatBytes(server.storeQueueBytes));
  write("store-queue-age", formatAge(server.storeQueueAgeSeconds));
  write("commit-time", `${latency(commits.p50)} · ${latency(commits.p99)}`);
  write("commit-sync", latency(commits.syncP99));
  write("commit-changes", commits.changes === undefined ? "–" : formatRate(commits.changes));
  write("storage-stuck", formatAge(commits.stuckSeconds));
  byId("storage-stuck", HTMLElement).dataset["zero"] = String(commits.stuckSeconds < 1);
  write("storage-restarts", formatCount(commits.restarts));
  byId("storage-restarts", HTMLElement).dataset["zero"] = String(commits.restarts === 0);
  write("workers", `${formatCount(server.workersReady)} of ${formatCount(server.workers)}`);
  write("workers-replaced", formatCount(server.workersReplaced));
  byId("workers-replaced", HTMLElement).dataset["zero"] = String(server.workersReplaced === 0);
  write("memory", formatBytes(server.memoryBytes));
}

/** @param {Figures} figures */
function showRemovals({ removals }) {
  const occurred = removals.filter(({ objects }) => objects > 0);
  const never = removals.filter(({ objects }) => objects === 0).map(({ level, reason }) => `${level} ${reason}`);
  fillTable(
    "removals",
    occurred.map(({ level, reason, objects, bytes, perSecond }) => [
      `${level} ${reason}`,
      formatRate(perSecond),
      formatCount(objects),
      formatBytes(bytes),
    ]),
  );
  write("removals-never", never.length === 0 ? "" : `Never yet: ${never.join(", ")}.`);
}

/** @param {Figures} figures */
function showMisses({ misses }) {
  fillTable(
    "misses",
    misses.map((
      { reason, count, perSecond },
    ) => [reason.replaceAll("_", " "), formatRate(perSecond), formatCount(count)]),
  );
}

/** @param {Figures} figures */
function showTenants({ tenants }) {
  fillTable(
    "tenants",
    tenants.slice(0, tenantLimit).map(({ tenant, lookups, hits, admitted, perSecond }) => [
      tenant === "" ? "(no name)" : tenant,
      formatRate(perSecond),
      formatCount(lookups),
      lookups === 0 ? "–" : formatPercent(hits / lookups),
      formatCount(admitted),
    ]),
  );
  write("tenants-more", tenants.length > tenantLimit ? `and ${formatCount(tenants.length - tenantLimit)} more` : "");
}

/** @param {Figures} figures */
function showBus({ bus }) {
  for (
    const [id, count] of /** @type {const} */ ([
      ["bus-published", bus.published],
      ["bus-delivered", bus.delivered],
      ["bus-rolled-up", bus.rolledUp],
      ["bus-lost", bus.lost],
      ["bus-queue", bus.queueDepth],
      ["bus-shed", bus.shed],
      ["bus-exceptions", bus.exceptions],
    ])
  ) {
    write(id, formatCount(count));
    byId(id, HTMLElement).dataset["zero"] = String(count === 0);
  }
  write("bus-lag", formatLatency(bus.lagSeconds));
}

/**
 * Shows everything below the charts.
 * @param {Figures} figures
 */
export function showTables(figures) {
  showTiers(figures);
  showRemovals(figures);
  showTenants(figures);
  showMisses(figures);
  showBus(figures);
}
