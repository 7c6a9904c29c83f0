import type { Page } from "playwright-core";
import { formatAge, formatPercent } from "../../../page/format.js";
import type { MetricsPage } from "../support/metrics_page.ts";

const texts = [
  "hit-rate-note",
  "requests-note",
  "lost-number",
  "l1-note",
  "bus-lost",
  "workers",
  "store-queue",
  "store-queue-age",
  "storage-restarts",
] as const;

/** What the page shows that holds still while nobody asks the cache for anything. */
export interface Shown {
  readonly texts: Readonly<Record<(typeof texts)[number], string>>;
  /** Tenant, lookups, hit rate, objects into L1; in the order of the page. */
  readonly tenants: readonly (readonly string[])[];
  /** Reason to objects. */
  readonly removals: Readonly<Record<string, string>>;
}

async function rowsOf(page: Page, table: string): Promise<readonly (readonly string[])[]> {
  const rows = await page.locator(`#${table} tbody tr`).all();
  return await Promise.all(rows.map((row) => row.locator("th, td").allTextContents()));
}

/** Reads it off the page. */
export async function shownOn(page: Page): Promise<Shown> {
  const entries = texts.map(async (id) => [id, await page.locator(`#${id}`).textContent() ?? ""] as const);
  const shown = Object.fromEntries(await Promise.all(entries));
  const of = (id: (typeof texts)[number]) => shown[id] ?? "";
  return {
    texts: {
      "hit-rate-note": of("hit-rate-note"),
      "requests-note": of("requests-note"),
      "lost-number": of("lost-number"),
      "l1-note": of("l1-note"),
      "bus-lost": of("bus-lost"),
      workers: of("workers"),
      "store-queue": of("store-queue"),
      "store-queue-age": of("store-queue-age"),
      "storage-restarts": of("storage-restarts"),
    },
    tenants: (await rowsOf(page, "tenants")).map(([tenant = "", _perSecond, ...rest]) => [tenant, ...rest]),
    removals: Object.fromEntries(
      (await rowsOf(page, "removals")).map(([reason = "", _perSecond, objects = ""]) => [reason, objects]),
    ),
  };
}

const grouped = (count: number) => count.toLocaleString("en-US");

function tenantRows(metrics: MetricsPage): Shown["tenants"] {
  const by = (name: string) => metrics.by(name, ["cache_salt"]);
  const lookups = by("lmcache_mp_lookups_requests_total");
  const hits = by("lmcache_mp_lookup_hit_tokens_total");
  const admitted = by("lmcache_mp_l1_write_chunks_total");
  const traffic = (tenant: string) => (lookups[tenant] ?? 0) + (admitted[tenant] ?? 0);
  const names = Object.keys({ ...lookups, ...admitted }).toSorted();
  return names.toSorted((a, b) => traffic(b) - traffic(a)).map((tenant) => {
    const asked = lookups[tenant] ?? 0;
    const rate = asked === 0 ? "–" : formatPercent((hits[tenant] ?? 0) / asked);
    return [tenant === "" ? "(no name)" : tenant, grouped(asked), rate, grouped(admitted[tenant] ?? 0)];
  });
}

/** What it should show by the server's own numbers. `requests`: those of clients, which the caller counts. */
export function expectedOf(
  metrics: MetricsPage,
  { l1Limit, workers }: { readonly l1Limit: string; readonly workers: number },
): Shown {
  const removed = (level: "l1" | "l2") =>
    Object.entries(metrics.by(`vitrine_${level}_removed_objects_total`, ["reason"]))
      .map(([reason, count]) => [`${level.toUpperCase()} ${reason}`, grouped(count)] as const);
  const requests = Object.entries(metrics.by("http_server_request_duration_seconds_count", ["http_route"]))
    .filter(([route]) => route.startsWith("/v1/objects")).reduce((sum, [, count]) => sum + count, 0);
  const lost = grouped(metrics.sum("vitrine_eventbus_events_total", { state: "lost" }));
  return {
    texts: {
      "hit-rate-note": `${grouped(metrics.sum("vitrine_lookups_total", { result: "hit" }))} hits of ${
        grouped(metrics.sum("vitrine_lookups_total"))
      } lookups`,
      "requests-note": `${grouped(requests)} since the start`,
      "lost-number": lost,
      "l1-note": `of ${l1Limit} · ${grouped(metrics.sum("vitrine_objects", { tier: "l1" }))} objects`,
      "bus-lost": lost,
      workers: `${workers} of ${workers}`,
      "store-queue": `${grouped(metrics.sum("vitrine_store_queue_entries"))} objects`,
      "store-queue-age": formatAge(metrics.sum("vitrine_store_queue_oldest_age_seconds")),
      "storage-restarts": grouped(metrics.sum("vitrine_storage_thread_restarts_total")),
    },
    tenants: tenantRows(metrics),
    removals: Object.fromEntries([...removed("l1"), ...removed("l2")]),
  };
}
