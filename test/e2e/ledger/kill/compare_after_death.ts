import type { Checks } from "../../support/checks.ts";
import type { Ledger } from "../../support/ledger.ts";
import type { MetricsPage } from "../../support/metrics_page.ts";
import { eventSums } from "../compare_events.ts";
import type { Unknown } from "./doomed_load.ts";
import { answerLabels, byTier, type Numbers, sumOf } from "../page_view.ts";

/** What is compared after a worker's death. */
export interface AfterDeath {
  readonly ledger: Ledger;
  readonly unknown: Unknown;
  readonly checks: Checks;
}

/** One type of event: what the page counted of it, and what clients know of it. */
interface Known {
  readonly event: string;
  readonly counted: number;
  readonly least: number;
  /** Requests without an answer that may have published one. */
  readonly unknown: number;
}

/**
 * Everything as without a death, but for what `lost` states and for the requests that got no answer: what was counted
 * is exactly what was published less what was lost; what was published is what clients know of, but for those requests;
 * and no more is lost than was in flight.
 */
export function compareAfterDeath(page: MetricsPage, { ledger, unknown, checks }: AfterDeath): void {
  const all = sumOf(unknown.requests.toObject(), /./);
  // An answer may have arrived whose end the worker did not live to state.
  const inFlight = unknown.finished + 2 * all;
  for (const { event, counted, least, unknown: few } of knownEvents(page, { ledger, unknown })) {
    const { published, lost } = eventSums(page, event);
    checks.equal(`${event}: counted is what was published and not lost`, {
      actual: counted,
      expected: published - lost,
    });
    const inside = least - all <= published && published <= least + few;
    checks.that(
      `${event}: published is what clients know of`,
      inside,
      () => `: ${published}, not ${least} - ${all} + ${few}`,
    );
    checks.that(`${event}: no more lost than was in flight`, lost <= inFlight, () => `: ${lost} > ${inFlight}`);
  }
  compareLabels(page, { ledger, unknown, checks });
}

function knownEvents(page: MetricsPage, { ledger, unknown }: Omit<AfterDeath, "checks">): readonly Known[] {
  const requests = ledger.requests.toObject();
  const lookups = ledger.lookups.toObject();
  const gets = unknown.requests.get("GET");
  const puts = unknown.requests.get("PUT");
  return [
    {
      event: "http.request.end",
      counted: page.sum("http_server_request_duration_seconds_count"),
      least: sumOf(requests, /./),
      unknown: sumOf(unknown.requests.toObject(), /./),
    },
    {
      event: "lookup.finished",
      counted: page.sum("vitrine_lookups_total"),
      least: sumOf(lookups, /./),
      unknown: gets + unknown.requests.get("HEAD"),
    },
    {
      event: "sm.read.prefetched",
      counted: page.sum("lmcache_mp_sm_read_requests_total"),
      least: sumOf(lookups, /^GET /),
      unknown: gets,
    },
    {
      event: "sm.write.reserved",
      counted: page.sum("lmcache_mp_sm_write_requests_total"),
      least: sumOf(requests, /^PUT /),
      unknown: puts,
    },
  ];
}

/** By kind of answer: at most the lost ones are missing, at most the unknown ones are beyond. */
function compareLabels(page: MetricsPage, { ledger, unknown, checks }: AfterDeath): void {
  const lost = (event: string) => eventSums(page, event).lost;
  const within = (name: string, actual: number, [from, to]: readonly [number, number]) =>
    checks.that(name, from <= actual && actual <= to, () => `: ${actual}, not from ${from} to ${to}`);
  const answers = page.by("http_server_request_duration_seconds_count", answerLabels);
  const requests = ledger.requests.toObject();
  const slack = sumOf(unknown.requests.toObject(), /./);
  for (const name of new Set([...Object.keys(answers), ...Object.keys(requests)])) {
    const sure = requests[name] ?? 0;
    const more = unknown.requests.get(name.split(" ")[0] ?? "");
    within(name, answers[name] ?? 0, [sure - lost("http.request.end") - slack, sure + more]);
  }
  const tiers = page.by("vitrine_lookups_total", ["tier", "result"]);
  const lookups: Numbers = byTier(ledger.lookups.toObject());
  for (const name of new Set([...Object.keys(tiers), ...Object.keys(lookups)])) {
    const sure = lookups[name] ?? 0;
    const more = unknown.requests.get("GET") + unknown.requests.get("HEAD");
    within(`lookups: ${name}`, tiers[name] ?? 0, [sure - lost("lookup.finished") - slack, sure + more]);
  }
  within("written bytes", page.sum("vitrine_written_bytes_total"), [
    ledger.writtenBytes - unknown.finishedBytes - unknown.writtenBytes,
    ledger.writtenBytes + unknown.writtenBytes,
  ]);
  // A dying worker's bare 204 to a DELETE looks like an answer.
  const objects = ledger.writes.get("new") - ledger.writes.get("deleted");
  within("objects", page.sum("vitrine_objects", { tier: "fs" }), [
    objects - unknown.requests.get("DELETE"),
    objects + slack,
  ]);
  checks.equal("requests in hand are the scrape itself", {
    actual: page.sum("http_server_active_requests"),
    expected: 1,
  });
}
