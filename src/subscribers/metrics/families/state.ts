import { catalogue, LATENCY_BOUNDS } from "../../../events/catalogue.ts";
import { counter, type Family, gauge, histogram } from "../metric.ts";
import type { ProcessSource } from "../sources.ts";

/** The state of the server when the metrics are collected. */
export const stateFamily: Family = {
  name: "metrics.state",
  metrics: [
    gauge("lmcache_mp_l1_memory_usage_bytes", {
      unit: "By",
      help: "Bytes of the arena in use, metadata and rounding included.",
      answers: "How full is memory?",
    }).read("l1", ({ usedBytes }) => usedBytes),
    gauge("lmcache_mp_l1_usage_ratio", {
      unit: "1",
      help: "Share of the arena in use, 0 to 1.",
      answers: "How near is the watermark?",
    }).read("l1", ({ usedBytes, capacityBytes }) => capacityBytes === 0 ? 0 : usedBytes / capacityBytes),
    gauge("lmcache_mp_l1_staging_bytes", {
      unit: "By",
      help: "Bytes reserved for writing and not admitted yet.",
      answers: "How much memory do running uploads and loads hold?",
    }).read("l1", ({ stagingBytes }) => stagingBytes),
    gauge("lmcache_mp_l2_usage_bytes", {
      unit: "By",
      help: "Bytes a tier accounts to its objects.",
      answers: "How full is each tier? A tier that cannot answer is missing.",
      labels: ["l2_name"],
    }).read("storage", ({ l2 }) => l2.map(({ tier, usedBytes }) => [usedBytes, { l2_name: tier }])),
    gauge("vitrine_objects", {
      unit: "{object}",
      help: "Objects in a tier.",
      answers: "How many objects are there?",
      labels: ["tier"],
    })
      .read("l1", ({ objects }) => [[objects, { tier: "l1" }]])
      .read("storage", ({ l2 }) => l2.map(({ tier, objects }) => [objects, { tier }])),
    gauge("vitrine_used_bytes", {
      unit: "By",
      help: "Bytes in use in a tier, its overhead included.",
      answers: "How full is each tier?",
      labels: ["tier"],
    })
      .read("l1", ({ usedBytes }) => [[usedBytes, { tier: "l1" }]])
      .read("storage", ({ l2 }) => l2.map(({ tier, usedBytes }) => [usedBytes, { tier }])),
    gauge("vitrine_limit_bytes", {
      unit: "By",
      help: "Most bytes a tier may use; 0 = no limit of ours.",
      answers: "How much room is there?",
      labels: ["tier"],
    })
      .read("l1", ({ capacityBytes }) => [[capacityBytes, { tier: "l1" }]])
      .read("storage", ({ l2 }) => l2.map(({ tier, limitBytes }) => [limitBytes, { tier }])),
    gauge("vitrine_oldest_entry_age_seconds", {
      unit: "s",
      help:
        "L1: time since the resident object that was admitted first was admitted. L2: age of the oldest object in the tier, since its PUT. 0 if there is none. A tier that does not know is missing.",
      answers: "How long does a tier really keep what it holds?",
      labels: ["tier"],
    })
      .read("l1", ({ oldestAgeSeconds }) => [[oldestAgeSeconds, { tier: "l1" }]])
      .read("storage", ({ l2 }) => l2.map(({ tier, oldestAgeSeconds }) => [oldestAgeSeconds, { tier }])),
    gauge("vitrine_store_queue_entries", {
      unit: "{object}",
      help: "Objects that wait to be stored to L2.",
      answers: "Does L2 keep up with the writes?",
    }).read("storage", ({ storeQueue }) => storeQueue.entries),
    gauge("vitrine_store_queue_bytes", {
      unit: "By",
      help: "Bytes that wait to be stored to L2.",
      answers: "How much would a crash lose?",
    }).read("storage", ({ storeQueue }) => storeQueue.bytes),
    gauge("vitrine_store_queue_oldest_age_seconds", {
      unit: "s",
      help: "Age of the oldest object that waits to be stored; 0 if none does.",
      answers: "How far back would a crash reach?",
    }).read("storage", ({ storeQueue }) => storeQueue.oldestAgeSeconds),
    counter("vitrine_l1_repairs_total", {
      unit: "{repair}",
      help: "Times that L1's tables were repaired, after a worker died in the middle of a change.",
      answers: "Did a death hit L1 itself?",
    }).read("l1", ({ repairs }) => repairs),
    gauge("vitrine_workers", {
      unit: "{worker}",
      help:
        "Workers by what they do; stuck: hung, and the thread cannot be ended. 0 in all states where the server is a single isolate.",
      answers: "Do all workers serve?",
      labels: ["state"],
    }).read("workers", (workers) =>
      (["starting", "ready", "stopping", "gone", "stuck"] as const).map((state) => [
        workers.filter((worker) => worker === state).length,
        { state },
      ])),
    gauge("vitrine_storage_thread_stuck_seconds", {
      unit: "s",
      help:
        "For how long the event loop of the storage thread has stood still, e.g. in a call to a disk that does not answer; 0 while it turns. Above 5 it counts as stuck.",
      answers: "Is the disk frozen?",
    }).read("storageThreadStuckSeconds", (seconds) => seconds),
    gauge("http_server_active_requests", {
      unit: "{request}",
      help: "Requests that have begun and not ended.",
      answers: "How busy is the server now?",
    }).read("activeRequests", (requests) => requests),
    gauge("vitrine_build_info", {
      unit: "1",
      help: "Always 1; the labels say what runs.",
      answers: "Which version runs where?",
      labels: ["version", "runtime"],
    }).read("build", ({ version, runtime }) => [[1, { version, runtime }]]),
    gauge("vitrine_start_time_seconds", {
      unit: "s",
      help: "When the server started, in seconds since the epoch.",
      answers: "Did it restart?",
    }).read("build", ({ startMs }) => startMs / 1000),
  ],
};

/** Threads that ended and were replaced. */
export const workersFamily: Family = {
  name: "metrics.workers",
  metrics: [
    counter("vitrine_worker_restarts_total", {
      unit: "{worker}",
      help: "Workers that died, hung or did not start, whose place was filled again; by cause.",
      answers: "Do workers die, and of what? The log says more.",
      labels: ["cause"],
      zero: [{ cause: ["threw", "ended", "hung", "killed", "not_started"] }],
    }).on("worker.gone", ({ count, cause }) => cause === "stopped" ? undefined : [count, { cause }]),
    counter("vitrine_storage_thread_restarts_total", {
      unit: "{restart}",
      help:
        "Times that the storage thread, which owns the folders of the file tiers, ended and was started again; by cause.",
      answers: "Does the storage thread die, and of what? The log says more.",
      labels: ["cause"],
      zero: [{ cause: catalogue["storage_thread.gone"].fields.cause.values }],
    }).on("storage_thread.gone", ({ count, cause }) => [count, { cause }]),
  ],
};

const INTERVAL_MS = 200;

/** Records again and again how late a timer is, in seconds. */
function timerDelay(record: (seconds: number) => void, source: ProcessSource): () => void {
  let lastMs = source.nowMs();
  return source.every(INTERVAL_MS, () => {
    const nowMs = source.nowMs();
    record(Math.max(0, nowMs - lastMs - INTERVAL_MS) / 1000);
    lastMs = nowMs;
  });
}

/** The process, by the names of OpenTelemetry's semantic conventions where they have one. */
export const processFamily: Family = {
  name: "metrics.process",
  metrics: [
    counter("process_cpu_time_seconds_total", {
      unit: "s",
      help: "Processor time of all threads.",
      answers: "How many cores does the server use?",
      labels: ["cpu_mode"],
    }).read("process", ({ cpuSeconds: { user, system } }) => [
      [user, { cpu_mode: "user" }],
      [system, { cpu_mode: "system" }],
    ]),
    gauge("process_memory_usage_bytes", {
      unit: "By",
      help: "Resident memory of the process, L1 included as far as it has been touched.",
      answers: "Does the process stay within its bound?",
    }).read("process", ({ residentBytes }) => residentBytes),
    gauge("process_uptime_seconds", {
      unit: "s",
      help: "Time since the server started.",
      answers: "Did it restart?",
    }).read("process", ({ uptimeSeconds }) => uptimeSeconds),
    histogram("vitrine_eventloop_delay_seconds", {
      unit: "s",
      help: "How late a timer of the collector's thread was, five times a second.",
      answers: "Is the thread that makes the numbers blocked? A server of one thread serves on it too.",
      bounds: LATENCY_BOUNDS,
    }).runs(timerDelay),
  ],
};
