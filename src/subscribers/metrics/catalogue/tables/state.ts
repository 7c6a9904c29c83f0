import type { MetricRow } from "../table_row.ts";

const L1 = { kind: "gauge", from: "state", labels: [] } as const;
const BY_TIER = { kind: "gauge", from: "state", labels: ["tier"] } as const;

/** How things stand when the metrics are collected. */
export const stateTable = {
  lmcache_mp_l1_memory_usage_bytes: {
    ...L1,
    unit: "By",
    help: "Bytes of the arena in use, metadata and rounding included.",
    answers: "How full is memory?",
  },
  lmcache_mp_l1_usage_ratio: {
    ...L1,
    unit: "1",
    help: "Share of the arena in use, 0 to 1.",
    answers: "How near is the watermark?",
  },
  lmcache_mp_l1_staging_bytes: {
    ...L1,
    unit: "By",
    help: "Bytes reserved for writing and not admitted yet.",
    answers: "How much memory do running uploads and loads hold?",
  },
  lmcache_mp_l2_usage_bytes: {
    ...BY_TIER,
    labels: ["l2_name"],
    unit: "By",
    help: "Bytes a tier accounts to its objects.",
    answers: "How full is each tier? A tier that cannot answer is missing.",
  },
  vitrine_objects: { ...BY_TIER, unit: "{object}", help: "Objects in a tier.", answers: "How many objects are there?" },
  vitrine_used_bytes: {
    ...BY_TIER,
    unit: "By",
    help: "Bytes in use in a tier, its overhead included.",
    answers: "How full is each tier?",
  },
  vitrine_limit_bytes: {
    ...BY_TIER,
    unit: "By",
    help: "Most bytes a tier may use; 0 = no limit of ours.",
    answers: "How much room is there?",
  },
  vitrine_oldest_entry_age_seconds: {
    ...BY_TIER,
    unit: "s",
    help:
      "L1: time since the resident object that was admitted first was admitted. L2: age of the oldest object in the tier, since its PUT. 0 if there is none. A tier that does not know is missing.",
    answers: "How long does a tier really keep what it holds?",
  },
  vitrine_store_queue_entries: {
    ...L1,
    unit: "{object}",
    help: "Objects that wait to be stored to L2.",
    answers: "Does L2 keep up with the writes?",
  },
  vitrine_store_queue_bytes: {
    ...L1,
    unit: "By",
    help: "Bytes that wait to be stored to L2.",
    answers: "How much would a crash lose?",
  },
  vitrine_store_queue_oldest_age_seconds: {
    ...L1,
    unit: "s",
    help: "Age of the oldest object that waits to be stored; 0 if none does.",
    answers: "How far back would a crash reach?",
  },
  vitrine_l1_repairs_total: {
    ...L1,
    kind: "counter",
    unit: "{repair}",
    help: "Times that L1's tables were repaired, after a worker died in the middle of a change.",
    answers: "Did a death hit L1 itself?",
  },
  vitrine_workers: {
    ...L1,
    labels: ["state"],
    unit: "{worker}",
    help:
      "Workers by what they do; stuck: hung, and the thread cannot be ended. 0 in all states where the server is a single isolate.",
    answers: "Do all workers serve?",
    zero: [{ state: ["starting", "ready", "stopping", "gone", "stuck"] }],
  },
  vitrine_storage_thread_stuck_seconds: {
    ...L1,
    unit: "s",
    help:
      "For how long the event loop of the storage thread has stood still, e.g. in a call to a disk that does not answer; 0 while it turns. Above 5 it counts as stuck.",
    answers: "Is the disk frozen?",
  },
  http_server_active_requests: {
    ...L1,
    unit: "{request}",
    help: "Requests that have begun and not ended.",
    answers: "How busy is the server now?",
  },
  vitrine_build_info: {
    ...L1,
    labels: ["version", "runtime"],
    unit: "1",
    help: "Always 1; the labels say what runs.",
    answers: "Which version runs where?",
  },
  vitrine_start_time_seconds: {
    ...L1,
    unit: "s",
    help: "When the server started, in seconds since the epoch.",
    answers: "Did it restart?",
  },
} as const satisfies Record<string, MetricRow>;
