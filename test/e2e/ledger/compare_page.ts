import { isDeepStrictEqual } from "node:util";
import type { Checks } from "../support/checks.ts";
import type { Client } from "../support/http/client.ts";
import type { Ledger } from "../support/ledger.ts";
import { MetricsPage } from "../support/metrics_page.ts";
import { until } from "../support/until.ts";
import { clientView } from "./client_view.ts";
import { bodiesOf, type Numbers, pageView, sumOf } from "./page_view.ts";

/** What is compared. */
export interface PageOptions {
  readonly ledger: Ledger;
  readonly checks: Checks;
  /** GETs whose first look at L1 may have missed what the second found. */
  readonly racedHits: number;
  /** Whether nothing had to be evicted: then L1's own counters are known to the client, too. */
  readonly roomy: boolean;
}

/** How long the last requests may take to end and their events to arrive. */
const timeoutMs = 60_000;

/**
 * Compares a page, asked through `client`, with the ledger: every counter, to the last count and byte. Waits until the
 * requests that were broken off have ended.
 */
export async function comparePage(client: Client, { ledger, checks, ...options }: PageOptions): Promise<MetricsPage> {
  const scrape = async () => {
    // A page shows what had ended when it was asked for, itself not included.
    const wanted = clientView(ledger);
    const bodies = { counts: ledger.bodies.toObject(), bytes: ledger.bodyBytes.toObject() };
    const { body } = await client.request({ method: "GET", path: "/metrics" });
    const page = new MetricsPage(new TextDecoder().decode(body));
    return { wanted, bodies, page, found: pageView(page) };
  };
  const isEqual = ({ wanted, found }: Awaited<ReturnType<typeof scrape>>) => isDeepStrictEqual(wanted, found);
  const { wanted, bodies, page, found } = await until(scrape, isEqual, { timeoutMs, everyMs: 300 });
  for (const [name, value] of Object.entries(wanted)) {
    checks.equal(`ledger and /metrics: ${name}`, { actual: found[name], expected: value });
  }
  compareBodies(page, { ...bodies, ledger, checks });
  compareReads(page, { ledger, checks, racedHits: options.racedHits });
  if (options.roomy) compareMemory(page, ledger, checks);
  return page;
}

/** Exact for every kind of answer none of which was broken off; between the sure and the most for the others. */
function compareBodies(
  page: MetricsPage,
  { ledger, checks, ...known }: {
    readonly ledger: Ledger;
    readonly checks: Checks;
    readonly counts: Numbers;
    readonly bytes: Numbers;
  },
): void {
  const most = ledger.abortedBytesAtMost.toObject();
  for (const [part, sure, room] of [["count", known.counts, countsOf(ledger)], ["sum", known.bytes, most]] as const) {
    const found = bodiesOf(page, part);
    for (const name of new Set([...Object.keys(found), ...Object.keys(sure)])) {
      const [actual, least] = [found[name] ?? 0, sure[name] ?? 0];
      const inside = least <= actual && actual <= least + (room[name] ?? 0);
      checks.that(`${part} of ${name} bodies`, inside, () => `: ${actual}, not from ${least} + ${room[name] ?? 0}`);
    }
  }
  for (const direction of ["request", "response"]) {
    checks.equal(`${direction} body bytes are those of all bodies`, {
      actual: page.sum(`vitrine_http_${direction}_body_bytes_total`),
      expected: page.sum(`http_server_${direction}_body_size_bytes_sum`),
    });
  }
}

function countsOf(ledger: Ledger): Numbers {
  const counts = Object.entries(ledger.aborted.toObject());
  const names = (name: string) => [`request ${name}`, `response ${name}`];
  return Object.fromEntries(counts.flatMap(([name, count]) => names(name).map((each) => [each, count])));
}

function compareReads(
  page: MetricsPage,
  { ledger, checks, racedHits }: Pick<PageOptions, "ledger" | "checks" | "racedHits">,
): void {
  const hits = sumOf(ledger.lookups.toObject(), /^GET \d+ l1 hit$/);
  const found = page.sum("lmcache_mp_sm_read_succeed_keys_total");
  checks.that("reads that L1 served at once are its hits", hits - racedHits <= found && found <= hits, () => {
    return `: ${found}, not from ${hits - racedHits} to ${hits}`;
  });
}

/** Nothing was evicted and nothing loaded: what came and went is what clients wrote and deleted. */
function compareMemory(page: MetricsPage, { writes }: Ledger, checks: Checks): void {
  const replaced = writes.get("replaced");
  const deleted = writes.get("deleted");
  checks.equal("L1 admitted and removed what clients wrote and deleted", {
    actual: {
      admitted: page.sum("lmcache_mp_l1_write_keys_total"),
      removed: page.by("vitrine_l1_removed_objects_total", ["reason"]),
      objects: page.sum("vitrine_objects", { tier: "l1" }),
      refused: page.sum("lmcache_mp_l1_allocation_failure_chunks_total"),
    },
    expected: {
      admitted: writes.get("new") + replaced,
      removed: { deleted, replaced },
      objects: writes.get("new") - deleted,
      refused: 0,
    },
  });
}
