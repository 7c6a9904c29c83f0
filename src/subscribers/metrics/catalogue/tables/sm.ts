import type { MetricRow } from "../table_row.ts";

const READ = { from: ["sm.read.prefetched"], labels: [], kind: "counter" } as const;
const WRITE = { from: ["sm.write.reserved"], labels: [], kind: "counter" } as const;

/** What the storage manager was asked. */
export const smTable = {
  lmcache_mp_sm_read_requests_total: {
    ...READ,
    unit: "{request}",
    help: "Read requests that probed L1.",
    answers: "How many reads are there?",
  },
  lmcache_mp_sm_read_succeed_keys_total: {
    ...READ,
    unit: "{key}",
    help: "Keys that L1 could serve at once.",
    answers: "How much of the reading does memory carry?",
  },
  lmcache_mp_sm_read_failed_keys_total: {
    ...READ,
    unit: "{key}",
    help: "Keys that L1 could not serve; an L2 tier may.",
    answers: "How much of the reading goes past memory?",
  },
  lmcache_mp_sm_write_requests_total: {
    ...WRITE,
    unit: "{request}",
    help: "Write requests that asked for room.",
    answers: "How many writes are there?",
  },
  lmcache_mp_sm_write_succeed_keys_total: {
    ...WRITE,
    unit: "{key}",
    help: "Keys that got room.",
    answers: "How many writes could begin?",
  },
  lmcache_mp_sm_write_failed_keys_total: {
    ...WRITE,
    unit: "{key}",
    help: "Keys that were refused room.",
    answers: "How many writes were refused?",
  },
} as const satisfies Record<string, MetricRow>;
