import { catalogue, LATENCY_BOUNDS } from "../../../events/catalogue.ts";
import { counter, type Family, gauge, histogram, type ProcessSource, TENANT_LABEL } from "../metric.ts";

/** The state of the server when the metrics are collected. */
export const stateFamily: Family = {
  name: "metrics.state",
  metrics: [
    gauge("lmcache_mp_l1_memory_usage_bytes", {
      unit: "By",
      help: "Bytes of the arena in use, metadata and rounding included.",
      answers: "How full is L1?",
    }).read("l1", ({ usedBytes }) => usedBytes),
    gauge("lmcache_mp_l1_usage_ratio", {
      unit: "1",
      help: "Part of the arena in use, 0 to 1.",
      answers: "How near is the watermark?",
    }).read("l1", ({ usedBytes, capacityBytes }) => capacityBytes === 0 ? 0 : usedBytes / capacityBytes),
    gauge("lmcache_mp_l1_staging_bytes", {
      unit: "By",
      help: "Bytes reserved for writing and not yet admitted.",
      answers: "How much memory do uploads and loads in progress hold?",
    }).read("l1", ({ stagingBytes }) => stagingBytes),
    gauge("vitrine_leased_objects", {
      unit: "{object}",
      help: "Leases of clients on objects in L1; an object counts once for each lease.",
      answers: "How much is kept from eviction now?",
    }).read("l1", ({ holds }) => holds),
    gauge("vitrine_leased_bytes", {
      unit: "By",
      help: "Bytes of the arena that the leases of clients hold; an object counts once for each lease.",
      answers: "How near are the leases to their quarter of L1?",
    }).read("l1", ({ heldBytes }) => heldBytes),
    gauge("vitrine_quota_limit_bytes", {
      labels: [TENANT_LABEL],
      unit: "By",
      help: "The tenant's quota of L1. Tenants without one have no series.",
      answers: "How much may each tenant use?",
    }).read("quotas", (quotas) => quotas.map(({ tenant, limitBytes }) => [limitBytes, { [TENANT_LABEL]: tenant }])),
    gauge("vitrine_quota_used_bytes", {
      labels: [TENANT_LABEL],
      unit: "By",
      help: "Bytes of L1 that a tenant with a quota uses, metadata and rounding included.",
      answers: "Who is above its quota, and gives way first?",
    }).read("quotas", (quotas) => quotas.map(({ tenant, usedBytes }) => [usedBytes, { [TENANT_LABEL]: tenant }])),
    gauge("lmcache_mp_l2_usage_bytes", {
      unit: "By",
      help: "Bytes that a tier uses for its objects.",
      answers: "How full is each tier? A tier that cannot tell is missing.",
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
      help: "Bytes in use in a tier, overhead included.",
      answers: "How full is each tier?",
      labels: ["tier"],
    })
      .read("l1", ({ usedBytes }) => [[usedBytes, { tier: "l1" }]])
      .read("storage", ({ l2 }) => l2.map(({ tier, usedBytes }) => [usedBytes, { tier }])),
    gauge("vitrine_limit_bytes", {
      unit: "By",
      help: "Maximum bytes that a tier may use; 0 if Vitrine sets no limit.",
      answers: "How large may each tier grow?",
      labels: ["tier"],
    })
      .read("l1", ({ capacityBytes }) => [[capacityBytes, { tier: "l1" }]])
      .read("storage", ({ l2 }) => l2.map(({ tier, limitBytes }) => [limitBytes, { tier }])),
    gauge("vitrine_oldest_entry_age_seconds", {
      unit: "s",
      help:
        "L1: time since the admission of the longest-resident object; a copy that was found current in a bucket counts as admitted then. L2: time since the PUT of the oldest object in the tier. 0 if there is none. A tier that cannot tell is missing.",
      answers: "How long does a tier really keep its objects?",
      labels: ["tier"],
    })
      .read("l1", ({ oldestAgeSeconds }) => [[oldestAgeSeconds, { tier: "l1" }]])
      .read("storage", ({ l2 }) => l2.map(({ tier, oldestAgeSeconds }) => [oldestAgeSeconds, { tier }])),
    gauge("vitrine_store_queue_entries", {
      unit: "{object}",
      help: "Dirty objects: acknowledged, and not yet stored in L2.",
      answers: "Does L2 keep up with the writes?",
    }).read("storage", ({ storeQueue }) => storeQueue.entries),
    gauge("vitrine_store_queue_bytes", {
      unit: "By",
      help: "Bytes of the dirty objects.",
      answers: "How much would a crash lose?",
    }).read("storage", ({ storeQueue }) => storeQueue.bytes),
    gauge("vitrine_store_queue_oldest_age_seconds", {
      unit: "s",
      help: "Age of the oldest dirty object; 0 if there is none.",
      answers: "How old are the oldest writes that a crash would lose?",
    }).read("storage", ({ storeQueue }) => storeQueue.oldestAgeSeconds),
    counter("vitrine_l1_repairs_total", {
      unit: "{repair}",
      help: "Repairs of L1's tables after a worker died in the middle of a change.",
      answers: "Did a worker die while it changed L1?",
    }).read("l1", ({ repairs }) => repairs),
    gauge("vitrine_workers", {
      unit: "{worker}",
      help:
        "Workers by state; stuck: it hung, and its thread cannot be ended. All states are 0 if the server is a single isolate.",
      answers: "Are all workers serving?",
      labels: ["state"],
    }).read("workers", (workers) =>
      (["starting", "ready", "stopping", "gone", "stuck"] as const).map((state) => [
        workers.filter((worker) => worker === state).length,
        { state },
      ])),
    gauge("vitrine_storage_thread_stuck_seconds", {
      unit: "s",
      help:
        "Time for which the event loop of the storage thread, or of the file thread, has been blocked, e.g. in a call to a disk that does not respond; 0 while it runs, or if there is no such thread. Above 5 the thread counts as stuck.",
      answers: "Is the disk frozen?",
      labels: ["thread"],
    }).read("storageThreadStuckSeconds", ({ storage, file }) => [
      [storage, { thread: "storage" }],
      [file, { thread: "file" }],
    ]),
    gauge("http_server_active_requests", {
      unit: "{request}",
      help: "Requests in progress.",
      answers: "How busy is the server now?",
    }).read("activeRequests", (requests) => requests),
    gauge("vitrine_build_info", {
      unit: "1",
      help: "Always 1; the labels name the version and the runtime.",
      answers: "Which version is running where?",
      labels: ["version", "runtime"],
    }).read("build", ({ version, runtime }) => [[1, { version, runtime }]]),
    gauge("vitrine_start_time_seconds", {
      unit: "s",
      help: "When the server started, in seconds since the epoch.",
      answers: "Did it restart?",
    }).read("build", ({ startMs }) => startMs / 1000),
  ],
};

const goneFields = catalogue["storage_thread.gone"].fields;

/** Threads that were replaced. */
export const workersFamily: Family = {
  name: "metrics.workers",
  metrics: [
    counter("vitrine_worker_restarts_total", {
      unit: "{worker}",
      help: "Workers that were replaced because they died, hung or did not start, by cause.",
      answers: "Do workers die, and why? The log has details.",
      labels: ["cause"],
      zero: [{ cause: ["threw", "ended", "hung", "killed", "not_started"] }],
    }).on("worker.gone", ({ count, cause }) => cause === "stopped" ? undefined : [count, { cause }]),
    counter("vitrine_storage_thread_restarts_total", {
      unit: "{restart}",
      help:
        "Restarts of the storage thread, which owns the tiers, and of the file thread, which owns the folders of file tiers beside other tiers, by cause.",
      answers: "Does one of these threads die, and why? The log has details.",
      labels: ["thread", "cause"],
      zero: [{ thread: goneFields.thread.values, cause: goneFields.cause.values }],
    }).on("storage_thread.gone", ({ count, thread, cause }) => [count, { thread, cause }]),
  ],
};

const INTERVAL_MS = 200;

/** Records at an interval how late a timer is, in seconds. */
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
      help: "Resident memory of the process, including the part of L1 that has been touched.",
      answers: "Does the process stay within its bound?",
    }).read("process", ({ residentBytes }) => residentBytes),
    gauge("process_uptime_seconds", {
      unit: "s",
      help: "Time since the server started.",
      answers: "Did it restart?",
    }).read("process", ({ uptimeSeconds }) => uptimeSeconds),
    histogram("vitrine_eventloop_delay_seconds", {
      unit: "s",
      help: "Delay of a timer on the collector's thread, measured five times a second.",
      answers: "Is the collector's thread blocked? In a single isolate, this thread also serves requests.",
      bounds: LATENCY_BOUNDS,
    }).runs(timerDelay),
  ],
};
