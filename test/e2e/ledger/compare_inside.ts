import type { Checks } from "../support/checks.ts";
import { compareEvents } from "./compare_events.ts";
import type { MetricsPage } from "../support/metrics_page.ts";

type Sums = readonly (readonly [name: string, actual: unknown, expected: unknown])[];

/** Compares sums within one page that must agree with each other, while nothing runs. */
export function compareInside(page: MetricsPage, checks: Checks): void {
  for (const [name, actual, expected] of [...memorySums(page), ...tierSums(page), ...requestSums(page)]) {
    checks.equal(name, { actual, expected });
  }
  compareEvents(page, checks);
}

function memorySums(page: MetricsPage): Sums {
  const admitted = page.sum("lmcache_mp_l1_write_keys_total");
  const evicted = page.sum("lmcache_mp_l1_evicted_keys_total");
  return [
    ["L1 holds what was admitted and not removed", page.sum("vitrine_objects", { tier: "l1" }), admitted - evicted],
    ["L1 removals by reason add up", page.sum("vitrine_l1_removed_objects_total"), evicted],
    ["nothing is staged", page.sum("lmcache_mp_l1_staging_bytes"), 0],
    ...["read", "write", "evicted"].map((part) =>
      [
        `both names of l1_${part} count the same`,
        page.sum(`lmcache_mp_l1_${part}_chunks_total`),
        page.sum(`lmcache_mp_l1_${part}_keys_total`),
      ] as const
    ),
  ];
}

function tierSums(page: MetricsPage): Sums {
  const calls = (op: string, outcome: string) => page.sum("vitrine_l2_requests_total", { op, outcome });
  return [
    [
      "the tier holds what was stored and not removed",
      page.sum("vitrine_objects", { tier: "fs" }),
      calls("store", "ok") - page.sum("vitrine_l2_removed_objects_total"),
    ],
    [
      "every store and load has ended",
      [page.sum("lmcache_mp_num_inflight_l2_stores"), page.sum("lmcache_mp_num_inflight_l2_loads")],
      [0, 0],
    ],
    ["no store and no load has failed", [calls("store", "failed"), calls("load", "failed")], [0, 0]],
  ];
}

function requestSums(page: MetricsPage): Sums {
  const writes = ["succeed", "failed"].map((how) => page.sum(`lmcache_mp_sm_write_${how}_keys_total`));
  return [[
    "write requests are those with room and those refused",
    page.sum("lmcache_mp_sm_write_requests_total"),
    writes.reduce((sum, count) => sum + count, 0),
  ]];
}
