import { isDeepStrictEqual } from "node:util";
import { Counts } from "../support/counts.ts";
import type { Checks } from "../support/checks.ts";
import type { Client } from "../support/http/client.ts";
import type { Ledger } from "../support/ledger.ts";
import { MetricsPage } from "../support/metrics_page.ts";
import { until } from "../support/until.ts";

/** Objects in a tier and their payload. */
export interface Holding {
  readonly objects: number;
  readonly bytes: number;
}

/** What the client knows of one server process. */
export interface Expected {
  readonly ledger: Ledger;
  /** What lies in the tier now. */
  readonly held: Holding;
  /** What lay there when the process started. */
  readonly heldAtStart: Holding;
  /** The most stores and loads that there can have been of objects that L1 does not admit. */
  readonly pastL1: number;
}

function sum(counts: Readonly<Record<string, number>>, part: RegExp): number {
  return Object.entries(counts).reduce((total, [name, count]) => (part.test(name) ? total + count : total), 0);
}

/** "GET 200 l1 hit" and "HEAD 200 l1 hit" are both "l1 hit". */
function byLastWords(lookups: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  const sums = new Counts();
  for (const [name, count] of Object.entries(lookups)) sums.add(name.split(" ").slice(2).join(" "), count);
  return sums.toObject();
}

/** The ledger in the words of the metrics page. */
function clientView({ ledger, held }: Expected): Readonly<Record<string, unknown>> {
  const requests = ledger.requests.toObject();
  const lookups = ledger.lookups.toObject();
  return {
    requests,
    requestBytes: ledger.requestBytes,
    responseBytes: ledger.responseBytes,
    aborted: 0,
    lookups: byLastWords(lookups),
    misses: ledger.misses.toObject(),
    writtenBytes: ledger.writtenBytes,
    reads: sum(lookups, /^GET /),
    readsFromMemory: sum(lookups, /^GET \d+ l1 /),
    readsPastMemory: sum(lookups, /^GET \d+ (?!l1)/),
    // A body is known to have the wrong digest when it has been taken; a precondition fails before.
    writesWithRoom: sum(requests, /^PUT .* (?:20[01]|400)$/),
    writesRefused: sum(requests, /^PUT .* 412$/),
    objects: held.objects,
    queued: 0,
    dropped: 0,
    exceptions: 0,
    leasesExpired: 0,
    corrupt: 0,
  };
}

function pageView(page: MetricsPage): Readonly<Record<string, unknown>> {
  return {
    requests: page.by("http_server_request_duration_seconds_count", [
      "http_request_method",
      "http_route",
      "http_response_status_code",
    ]),
    requestBytes: page.sum("vitrine_http_request_body_bytes_total"),
    responseBytes: page.sum("vitrine_http_response_body_bytes_total"),
    aborted: page.sum("vitrine_http_aborted_total"),
    lookups: page.by("vitrine_lookups_total", ["tier", "result"]),
    misses: page.by("vitrine_lookup_misses_total", ["reason"]),
    writtenBytes: page.sum("vitrine_written_bytes_total"),
    reads: page.sum("lmcache_mp_sm_read_requests_total"),
    readsFromMemory: page.sum("lmcache_mp_sm_read_succeed_keys_total"),
    readsPastMemory: page.sum("lmcache_mp_sm_read_failed_keys_total"),
    writesWithRoom: page.sum("lmcache_mp_sm_write_succeed_keys_total"),
    writesRefused: page.sum("lmcache_mp_sm_write_failed_keys_total"),
    objects: page.sum("vitrine_objects", { tier: "fs" }),
    queued: page.sum("vitrine_store_queue_entries"),
    dropped: page.sum("lmcache_mp_event_bus_dropped_events_total"),
    exceptions: page.sum("lmcache_mp_event_bus_subscriber_exceptions_total"),
    leasesExpired: page.sum("vitrine_l1_lease_expired_total"),
    corrupt: page.sum("vitrine_l2_removed_objects_total", { reason: "corrupt" }),
  };
}

/** Sums within one page that must agree with each other. */
function compareInside(page: MetricsPage, { ledger, held, heldAtStart, pastL1 }: Expected, checks: Checks): void {
  const store = (outcome: string) => page.sum("vitrine_l2_requests_total", { op: "store", outcome });
  checks.equal("L1 holds what was admitted and not removed", {
    actual: page.sum("vitrine_objects", { tier: "l1" }),
    expected: page.sum("lmcache_mp_l1_write_keys_total") - page.sum("lmcache_mp_l1_evicted_keys_total"),
  });
  checks.equal("L1 removals by reason add up", {
    actual: page.sum("vitrine_l1_removed_objects_total"),
    expected: page.sum("lmcache_mp_l1_evicted_keys_total"),
  });
  checks.equal("the tier holds what was stored and not removed", {
    actual: page.sum("vitrine_objects", { tier: "fs" }),
    expected: heldAtStart.objects + store("ok") - page.sum("vitrine_l2_removed_objects_total"),
  });
  checks.equal("the tier's bytes are what was stored and not removed", {
    actual: heldAtStart.bytes + page.sum("vitrine_l2_bytes_total", { op: "store" }) -
      page.sum("vitrine_l2_removed_bytes_total"),
    expected: held.bytes,
  });
  // An answer without the object's bytes (304, 416) may be made from its metadata alone.
  const lookups = ledger.lookups.toObject();
  const loads = page.sum("lmcache_mp_l2_load_completed_requests_total");
  const [least, most] = [sum(lookups, /^GET 20[06] (?!l1|none)/), sum(lookups, /^GET \d+ (?!l1|none)/)];
  checks.that("loads are the reads that the tier answered", least <= loads && loads <= most, () => {
    return `${loads}, not from ${least} to ${most}`;
  });
  // An admission has a lease of its own for its store, unless it was replaced or removed before that began, or for the
  // reader that it was loaded for.
  const admissions = page.sum("lmcache_mp_l1_write_keys_total");
  const stores = page.sum("vitrine_l2_requests_total", { op: "store" });
  const overtaken = Math.max(0, admissions - stores - loads + pastL1);
  const reads = page.sum("lmcache_mp_l1_read_keys_total") - admissions;
  const readsByClients = sum(lookups, /^GET \d+ l1 /);
  checks.that(
    "L1 reads are those of clients and one for each admission that was not overtaken",
    readsByClients - overtaken <= reads && reads <= readsByClients,
    () => `${reads}, not from ${readsByClients - overtaken} to ${readsByClients}`,
  );
  for (const part of ["read", "write", "evicted"]) {
    checks.equal(`both names of l1_${part} count the same`, {
      actual: page.sum(`lmcache_mp_l1_${part}_chunks_total`),
      expected: page.sum(`lmcache_mp_l1_${part}_keys_total`),
    });
  }
  checks.equal("write requests are those with room and those refused", {
    actual: page.sum("lmcache_mp_sm_write_requests_total"),
    expected: page.sum("lmcache_mp_sm_write_succeed_keys_total") + page.sum("lmcache_mp_sm_write_failed_keys_total"),
  });
  checks.equal("every store and load has ended", {
    actual: [page.sum("lmcache_mp_num_inflight_l2_stores"), page.sum("lmcache_mp_num_inflight_l2_loads")],
    expected: [0, 0],
  });
  checks.equal("no store and no load has failed", {
    actual: [store("failed"), page.sum("vitrine_l2_requests_total", { op: "load", outcome: "failed" })],
    expected: [0, 0],
  });
  const events = page.by("vitrine_eventbus_events_total", ["state"]);
  const { published, delivered = 0, rolled_up: rolledUp = 0, lost = 0 } = events;
  checks.equal("events published = delivered + rolled up + lost", {
    actual: delivered + rolledUp + lost,
    expected: published,
  });
  checks.equal("no event was lost", { actual: lost, expected: 0 });
}

/**
 * Compares the ledger with /metrics, to the last count and byte. Scrapes again while the last answers are still being
 * counted, at most `timeoutMs` long.
 */
export async function compareMetrics(
  client: Client,
  expected: Expected,
  { checks, timeoutMs }: { readonly checks: Checks; readonly timeoutMs: number },
): Promise<void> {
  const scrape = async () => {
    // A scrape shows what had ended when it was asked, itself not included.
    const wanted = clientView(expected);
    const { body } = await client.request({ method: "GET", path: "/metrics" });
    const page = new MetricsPage(new TextDecoder().decode(body));
    return { wanted, page, found: pageView(page) };
  };
  const { wanted, page, found } = await until(scrape, (last) => isDeepStrictEqual(last.wanted, last.found), {
    timeoutMs,
    everyMs: 200,
  });
  for (const [name, value] of Object.entries(wanted)) {
    checks.equal(`client ledger and /metrics: ${name}`, { actual: found[name], expected: value });
  }
  compareInside(page, expected, checks);
}
