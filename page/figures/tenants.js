// @ts-check

/** @typedef {import("../metrics/metrics_window.js").View} View */
/** @typedef {import("../metrics/scrape.js").Scrape} Scrape */

const lookups = "lmcache_mp_lookups_requests_total";
const hits = "lmcache_mp_lookup_hit_tokens_total";
const admitted = "lmcache_mp_l1_write_chunks_total";
const delivered = "lmcache_mp_num_chunks_loaded_total";

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
  const [lookedUp, found, written, got] = [lookups, hits, admitted, delivered].map((name) => byTenant(now, name));
  const grew = byTenant(grown, lookups);
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
