// @ts-check
import { quantile } from "../scrape.js";

/** @typedef {import("../scrape.js").Scrape} Scrape */
/** @typedef {import("../metrics_window.js").View} View */
/** @typedef {import("../scrape.js").Where} Where */

/** Routes that the page itself uses. */
const ofThePage = new Set(["/v1/events", "/v1/access"]);

/**
 * Requests of clients: not the page's own, of which the stream of events would look like a slow answer.
 * @type {Where}
 */
const ofClients = ({ http_route: route = "" }) => route.startsWith("/v1/") && !ofThePage.has(route);

/** @type {Where} */
const isHit = ({ result }) => result === "hit";

const duration = "http_server_request_duration_seconds";
const received = "http_server_request_body_size_bytes_sum";
const sent = "http_server_response_body_size_bytes_sum";
const lookups = "vitrine_lookups_total";

/**
 * @param {number} part
 * @param {number} whole
 */
const share = (part, whole) => whole > 0 ? part / whole : undefined;

/**
 * The requests of clients and their answers. Shares and quantiles are undefined if there were none.
 * @param {View} view
 */
export function trafficOf({ now, grown, seconds }) {
  /** @param {number} amount */
  const perSecond = (amount) => seconds > 0 ? amount / seconds : 0;
  const buckets = grown.samples(`${duration}_bucket`, ofClients);
  const lookedUp = grown.sum(lookups);
  /** @type {Map<string, number>} */
  const requestsByClass = new Map(["2xx", "3xx", "4xx", "5xx"].map((name) => [name, 0]));
  for (const [status, count] of grown.by(`${duration}_count`, "http_response_status_code", ofClients)) {
    const name = `${status[0]}xx`;
    requestsByClass.set(name, (requestsByClass.get(name) ?? 0) + perSecond(count));
  }
  return {
    hitRate: share(grown.sum(lookups, isHit), lookedUp),
    /** By the tier that had the object. */
    hitRates: new Map(Array.from(now.by(lookups, "tier", isHit).keys(), (tier) => {
      return [tier, share(grown.sum(lookups, (labels) => isHit(labels) && labels["tier"] === tier), lookedUp)];
    })),
    hits: now.sum(lookups, isHit),
    lookups: now.sum(lookups),
    requestsPerSecond: perSecond(grown.sum(`${duration}_count`, ofClients)),
    requestsByClass,
    requests: now.sum(`${duration}_count`, ofClients),
    inPerSecond: perSecond(grown.sum(received, ofClients)),
    outPerSecond: perSecond(grown.sum(sent, ofClients)),
    bytesIn: now.sum(received, ofClients),
    bytesOut: now.sum(sent, ofClients),
    p50: quantile(0.5, buckets),
    p90: quantile(0.9, buckets),
    p99: quantile(0.99, buckets),
  };
}

const misses = "vitrine_lookup_misses_total";

/**
 * The reasons of misses since the server's start, and their rates now; the most frequent first. Reasons that never
 * occurred are left out.
 * @param {View} view
 */
export function missesOf({ now, grown, seconds }) {
  const grew = grown.by(misses, "reason");
  return Array.from(now.by(misses, "reason"), ([reason, count]) => ({
    reason,
    count,
    perSecond: seconds > 0 ? (grew.get(reason) ?? 0) / seconds : 0,
  })).filter(({ count }) => count > 0).sort((a, b) => b.count - a.count);
}

const tenantLookups = "lmcache_mp_lookups_requests_total";
const tenantHits = "lmcache_mp_lookup_hit_tokens_total";
const tenantAdmissions = "lmcache_mp_l1_write_chunks_total";
const tenantReads = "lmcache_mp_num_chunks_loaded_total";

/**
 * @param {Scrape} scrape
 * @param {string} name
 */
const byTenant = (scrape, name) => scrape.by(name, "cache_salt");

/**
 * The tenants by their number of lookups and objects since the server's start, without those that had neither; by name
 * where they are equal. The tenant without a name is "".
 * @param {View} view
 */
export function tenantsOf({ now, grown, seconds }) {
  const [lookedUp, found, written, got] = [tenantLookups, tenantHits, tenantAdmissions, tenantReads].map((name) =>
    byTenant(now, name)
  );
  const grew = byTenant(grown, tenantLookups);
  const tenants = new Set([...(lookedUp?.keys() ?? []), ...(written?.keys() ?? [])]);
  const rows = Array.from(tenants, (tenant) => ({
    tenant,
    lookups: lookedUp?.get(tenant) ?? 0,
    hits: found?.get(tenant) ?? 0,
    admitted: written?.get(tenant) ?? 0,
    delivered: got?.get(tenant) ?? 0,
    perSecond: seconds > 0 ? (grew.get(tenant) ?? 0) / seconds : 0,
  }));
  return rows.filter((row) => row.lookups + row.admitted > 0)
    .sort((a, b) => b.lookups + b.admitted - a.lookups - a.admitted || (a.tenant < b.tenant ? -1 : 1));
}
