import { Counts } from "../support/counts.ts";
import type { MetricsPage } from "../support/metrics_page.ts";

/** What tells kinds of answers apart. */
export const answerLabels = ["http_request_method", "http_route", "http_response_status_code"] as const;

/** Counts by name. */
export type Numbers = Readonly<Record<string, number>>;

/** The sum of the numbers whose name fits. */
export function sumOf(numbers: Numbers, name: RegExp): number {
  return Object.entries(numbers).reduce((sum, [each, number]) => (name.test(each) ? sum + number : sum), 0);
}

/** Numbers by what "method status tier result" ends with. */
export function byTier(lookups: Numbers): Numbers {
  const sums = new Counts();
  for (const [name, count] of Object.entries(lookups)) sums.add(name.split(" ").slice(2).join(" "), count);
  return sums.toObject();
}

/** The body histograms of both directions by "request|response method route status"; `part`: count or sum. */
export function bodiesOf(page: MetricsPage, part: "count" | "sum"): Numbers {
  const both = ["request", "response"].map((direction) => {
    const series = page.by(`http_server_${direction}_body_size_bytes_${part}`, answerLabels);
    return Object.entries(series).map(([name, number]) => [`${direction} ${name}`, number] as const);
  });
  return Object.fromEntries(both.flat());
}

/** Everything on the page that the client's ledger determines. */
export function pageView(page: MetricsPage): Readonly<Record<string, unknown>> {
  return {
    requests: page.by("http_server_request_duration_seconds_count", answerLabels),
    aborted: page.sum("vitrine_http_aborted_total"),
    lookups: page.by("vitrine_lookups_total", ["tier", "result"]),
    misses: page.by("vitrine_lookup_misses_total", ["reason"]),
    lookupRequests: page.sum("lmcache_mp_lookups_requests_total"),
    requestedTokens: page.sum("lmcache_mp_lookup_requested_tokens_total"),
    l1Keys: page.sum("lmcache_mp_lookup_hit_l1_keys_total"),
    l2Keys: page.sum("lmcache_mp_lookup_hit_l2_keys_total"),
    objectsRead: page.sum("lmcache_mp_num_chunks_loaded_total"),
    reads: page.sum("lmcache_mp_sm_read_requests_total"),
    readKeys: page.sum("lmcache_mp_sm_read_succeed_keys_total") + page.sum("lmcache_mp_sm_read_failed_keys_total"),
    writes: page.sum("lmcache_mp_sm_write_requests_total"),
    writesWithRoom: page.sum("lmcache_mp_sm_write_succeed_keys_total"),
    writesRefused: page.sum("lmcache_mp_sm_write_failed_keys_total"),
    writtenBytes: page.sum("vitrine_written_bytes_total"),
    objects: page.sum("vitrine_objects", { tier: "fs" }),
    queued: page.sum("vitrine_store_queue_entries"),
    activeRequests: page.sum("http_server_active_requests"),
    dropped: page.sum("lmcache_mp_event_bus_dropped_events_total"),
    leasesExpired: page.sum("vitrine_l1_lease_expired_total"),
    corrupt: page.sum("vitrine_l2_removed_objects_total", { reason: "corrupt" }),
  };
}
