/** One query of a panel; `legend` is Grafana's template. */
export interface Query {
  readonly expr: string;
  readonly legend: string;
}

/** One panel: the question it answers, and what to do when it looks bad. */
export interface Panel {
  readonly title: string;
  readonly question: string;
  readonly action: string;
  /** Grafana's unit id. */
  readonly unit: "percentunit" | "reqps" | "ops" | "Bps" | "bytes" | "s" | "short";
  readonly queries: readonly Query[];
  /** Areas are stacked; lines otherwise. */
  readonly stacked?: true;
}

/** Panels under one heading. */
export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** Selects the series of the chosen job and instances; `more` are further matchers. */
function of(name: string, ...more: readonly string[]): string {
  return `${name}{${['job=~"$job"', 'service_instance_id=~"$instance"', ...more].join(",")}}`;
}

function rate(name: string, ...more: readonly string[]): string {
  return `rate(${of(name, ...more)}[$__rate_interval])`;
}

function sumRate(by: string, name: string, ...more: readonly string[]): string {
  return `sum by (${by}) (${rate(name, ...more)})`;
}

/** Quantiles of a histogram, each as its own line. */
function quantiles(name: string, by: string, legend: string): readonly Query[] {
  return [0.5, 0.9, 0.99].map((quantile) => ({
    expr: `histogram_quantile(${quantile}, sum by (le, ${by}) (${rate(`${name}_bucket`)})) >= 0`,
    legend: `p${quantile * 100} ${legend}`,
  }));
}

const objectRoute = 'http_route="/v1/objects/{key}"';
const serverErrors = 'http_response_status_code=~"5.."';
const requests = "http_server_request_duration_seconds_count";
const lookups = `sum(${rate("vitrine_lookups_total")})`;

/** Our dashboard, top to bottom. */
export const rows: readonly Row[] = [
  {
    title: "At a glance",
    panels: [
      {
        title: "Hit rate",
        question: "How many lookups find their object, and which tier earns it?",
        action: "Low: see Misses by reason; a cache that is too small evicts, one that is new misses.",
        unit: "percentunit",
        stacked: true,
        queries: [{
          expr: `${
            sumRate("tier", "vitrine_lookups_total", 'result="hit"')
          } / ignoring (tier) group_left () (${lookups} > 0)`,
          legend: "{{tier}}",
        }],
      },
      {
        title: "Misses by reason",
        question: "Why do lookups find nothing?",
        action:
          "Much watermark or pressure: raise VITRINE_L1_SIZE; much capacity: raise max= of the tier; much expired: a longer max-age; much never_stored: nothing is wrong here.",
        unit: "ops",
        stacked: true,
        queries: [{ expr: sumRate("reason", "vitrine_lookup_misses_total"), legend: "{{reason}}" }],
      },
      {
        title: "Requests",
        question: "How busy is the server, and with which answers?",
        action: "5xx or 4xx that were not there before: Server errors and Requests by route tell where.",
        unit: "reqps",
        stacked: true,
        queries: [{ expr: sumRate("http_response_status_code", requests), legend: "{{http_response_status_code}}" }],
      },
      {
        title: "Throughput",
        question: "How much payload comes and goes?",
        action: "Far below what is asked for: look at L2 latency, and at the processor time of the host.",
        unit: "Bps",
        queries: [
          { expr: sumRate("tier", "vitrine_read_bytes_total"), legend: "read from {{tier}}" },
          { expr: `sum(${rate("vitrine_written_bytes_total")})`, legend: "written" },
        ],
      },
      {
        title: "Latency of objects",
        question: "How long do clients wait for an object, to the last byte?",
        action: "High for GET with a good hit rate in L1: the host is short of processor time; else L2 latency tells.",
        unit: "s",
        queries: [0.5, 0.9, 0.99].map((quantile) => ({
          expr: `histogram_quantile(${quantile}, sum by (le, http_request_method) (${
            rate("http_server_request_duration_seconds_bucket", objectRoute)
          })) >= 0`,
          legend: `p${quantile * 100} {{http_request_method}}`,
        })),
      },
    ],
  },
  {
    title: "Memory (L1)",
    panels: [
      {
        title: "L1 occupancy",
        question: "How full is L1, and how much of it do running uploads and loads use?",
        action:
          "At the limit all the time: raise VITRINE_L1_SIZE; much staging: uploads or loads stall, see Running requests.",
        unit: "bytes",
        queries: [
          { expr: of("lmcache_mp_l1_memory_usage_bytes"), legend: "used {{service_instance_id}}" },
          { expr: of("lmcache_mp_l1_staging_bytes"), legend: "staging {{service_instance_id}}" },
          { expr: of("vitrine_limit_bytes", 'tier="l1"'), legend: "limit {{service_instance_id}}" },
        ],
      },
      {
        title: "L1 operations",
        question: "How many objects are read, admitted, removed?",
        action:
          "Removed as fast as admitted, with few reads: what comes in is not asked for again; raise VITRINE_L1_SIZE if the reuse gaps are longer than the lifetimes.",
        unit: "ops",
        queries: [
          { expr: `sum(${rate("lmcache_mp_l1_read_keys_total")})`, legend: "read" },
          { expr: `sum(${rate("lmcache_mp_l1_write_keys_total")})`, legend: "admitted" },
          { expr: `sum(${rate("lmcache_mp_l1_evicted_keys_total")})`, legend: "removed" },
        ],
      },
      {
        title: "L1 removals by reason",
        question: "Why do objects leave memory? Much pressure and watermark with a low hit rate: L1 is too small.",
        action: "Raise VITRINE_L1_SIZE if watermark or pressure dominate and the hit rate matters.",
        unit: "ops",
        stacked: true,
        queries: [{ expr: sumRate("reason", "vitrine_l1_removed_objects_total"), legend: "{{reason}}" }],
      },
      {
        title: "Age of the oldest object",
        question: "How long does each level keep its objects?",
        action: "Shorter than the time between two uses of an object: the level is too small to serve the second one.",
        unit: "s",
        queries: [{ expr: of("vitrine_oldest_entry_age_seconds"), legend: "{{tier}} {{service_instance_id}}" }],
      },
      {
        title: "L1 failures",
        question:
          "Do writes find no room, reads lose their object, holders let leases run out? All should stay at zero.",
        action:
          "No room: raise VITRINE_L1_SIZE or store smaller objects; expired leases: clients or tiers stall longer than VITRINE_L1_READ_LEASE or VITRINE_L1_WRITE_LEASE.",
        unit: "ops",
        queries: [
          { expr: sumRate("during", "lmcache_mp_l1_allocation_failure_chunks_total"), legend: "no room: {{during}}" },
          { expr: sumRate("reason", "lmcache_mp_l1_read_failure_chunks_total"), legend: "unreadable: {{reason}}" },
          { expr: sumRate("kind", "vitrine_l1_lease_expired_total"), legend: "expired {{kind}} lease" },
        ],
      },
    ],
  },
  {
    title: "Storage tiers (L2)",
    panels: [
      {
        title: "L2 occupancy",
        question: "How full is each tier?",
        action: "At its limit it evicts: raise max= in VITRINE_L2 if the hit rate suffers.",
        unit: "bytes",
        queries: [
          { expr: of("vitrine_used_bytes", 'tier!="l1"'), legend: "used {{tier}}" },
          { expr: `${of("vitrine_limit_bytes", 'tier!="l1"')} > 0`, legend: "limit {{tier}}" },
        ],
      },
      {
        title: "L2 calls",
        question: "Which calls does each tier get? A miss is not an error.",
        action:
          "Far more lookups that miss than hit: the tier keeps too little, or clients ask for what nobody stores.",
        unit: "ops",
        queries: [{
          expr: sumRate("tier, op, outcome", "vitrine_l2_requests_total"),
          legend: "{{tier}} {{op}} {{outcome}}",
        }],
      },
      {
        title: "L2 errors, apart from misses",
        question: "Does a tier fail?",
        action: "Read the log for the cause; look at the tier's disk or network.",
        unit: "ops",
        queries: [{
          expr: sumRate("tier, op", "vitrine_l2_requests_total", 'outcome=~"error|failed"'),
          legend: "{{tier}} {{op}}",
        }],
      },
      {
        title: "L2 latency",
        question: "How fast is a tier?",
        action:
          "Look at the disk's or network's own latency; fewer stores at a time (VITRINE_STORE_CONCURRENCY) leave more to reads.",
        unit: "s",
        queries: quantiles("vitrine_l2_duration_seconds", "tier, op", "{{tier}} {{op}}"),
      },
      {
        title: "L2 calls timed out",
        question: "Does a tier hang? These are errors, too.",
        action: "Look at the tier's disk or network; VITRINE_L2_TIMEOUT sets how long a call may take.",
        unit: "ops",
        queries: [{ expr: sumRate("exception_type", "lmcache_mp_timeouts_total"), legend: "{{exception_type}}" }],
      },
      {
        title: "L2 throughput",
        question: "How much data moves between memory and the tiers?",
        action: "Flat at what the disk can do while the store queue grows: the disk is the limit.",
        unit: "Bps",
        queries: [{ expr: sumRate("tier, op", "vitrine_l2_bytes_total"), legend: "{{tier}} {{op}}" }],
      },
      {
        title: "L2 removals by reason",
        question: "Why do objects leave a tier? corrupt should stay at zero.",
        action: "capacity: as for L2 occupancy; corrupt: check the disk at once.",
        unit: "ops",
        stacked: true,
        queries: [{ expr: sumRate("tier, reason", "vitrine_l2_removed_objects_total"), legend: "{{tier}} {{reason}}" }],
      },
      {
        title: "Store queue",
        question: "How many objects wait to be stored, and would be lost in a crash?",
        action: "Full all the time: writes wait for L2; a faster tier, or VITRINE_STORE_CONCURRENCY.",
        unit: "short",
        queries: [
          { expr: of("vitrine_store_queue_entries"), legend: "waiting {{service_instance_id}}" },
          { expr: of("lmcache_mp_num_inflight_l2_stores"), legend: "being stored to {{l2_name}}" },
        ],
      },
      {
        title: "Store queue age",
        question: "How far back would a crash reach? Steady growth: L2 does not keep up with the writes.",
        action:
          "Find out why L2 is slow before the server is stopped: a stop waits for it up to VITRINE_SHUTDOWN_TIMEOUT.",
        unit: "s",
        queries: [{ expr: of("vitrine_store_queue_oldest_age_seconds"), legend: "{{service_instance_id}}" }],
      },
      {
        title: "Store queue bytes",
        question: "How many acknowledged bytes are in no tier yet?",
        action: "Near VITRINE_STORE_QUEUE_BYTES: writes wait; find out why L2 is slow.",
        unit: "bytes",
        queries: [{ expr: of("vitrine_store_queue_bytes"), legend: "{{service_instance_id}}" }],
      },
    ],
  },
  {
    title: "Storage thread (file tiers)",
    panels: [
      {
        title: "Commits",
        question: "How often does the storage thread change a folder, and how many syncs does that take?",
        action:
          "As many syncs as commits, with one change each: clients write durably, one after the other; nothing is wrong.",
        unit: "ops",
        queries: [
          { expr: sumRate("tier", "vitrine_l2_commit_changes_count"), legend: "commits of {{tier}}" },
          { expr: sumRate("tier", "vitrine_l2_commit_sync_duration_seconds_count"), legend: "syncs of {{tier}}" },
        ],
      },
      {
        title: "Changes in a commit",
        question: "How many objects share a write, a sync and a transaction?",
        action: "512, the most, all the time: the disk is the limit; see Time of a commit.",
        unit: "short",
        queries: [{
          expr: `${sumRate("tier", "vitrine_l2_commit_changes_sum")} / (${
            sumRate("tier", "vitrine_l2_commit_changes_count")
          } > 0)`,
          legend: "{{tier}}",
        }],
      },
      {
        title: "Time of a commit",
        question: "How long does a commit keep the next one waiting?",
        action:
          "Much of it is Time of a sync: the disk; else the machine is short of processor time, or commits are large.",
        unit: "s",
        queries: quantiles("vitrine_l2_commit_duration_seconds", "tier", "{{tier}}"),
      },
      {
        title: "Time of a sync",
        question: "How fast does the disk make things durable?",
        action:
          "Look at what else writes to the disk; a disk of its own for the tier; fsync=off in VITRINE_L2 if a power loss may cost objects.",
        unit: "s",
        queries: quantiles("vitrine_l2_commit_sync_duration_seconds", "tier", "{{tier}}"),
      },
      {
        title: "Reclaim",
        question: "How fast does the room of dead objects come back, and how much has to be copied for it?",
        action: "Copied near reclaimed: segments are dropped half full of living objects; raise max= of the tier.",
        unit: "Bps",
        queries: [
          { expr: sumRate("tier", "vitrine_l2_reclaimed_bytes_total"), legend: "reclaimed in {{tier}}" },
          { expr: sumRate("tier", "vitrine_l2_reclaim_copied_bytes_total"), legend: "copied in {{tier}}" },
        ],
      },
      {
        title: "Storage thread stuck",
        question: "Does the storage thread, or the file thread, hang? Above 5 s /readyz is 503; L1 hits go on.",
        action:
          "A call to the disk does not return: look at the disk and the kernel's log. Restarting the server does not help a frozen disk, and loses the store queue.",
        unit: "s",
        queries: [{
          expr: of("vitrine_storage_thread_stuck_seconds"),
          legend: "{{thread}} thread of {{service_instance_id}}",
        }],
      },
      {
        title: "Storage thread restarts, failed clean-ups",
        question:
          "Does one of these threads die, and do files stay on the disk that are no longer needed? Both should stay at zero.",
        action: "Read the log of that time: it has the cause.",
        unit: "short",
        queries: [
          {
            expr: `sum by (thread, cause) (increase(${of("vitrine_storage_thread_restarts_total")}[$__rate_interval]))`,
            legend: "restart of the {{thread}} thread: {{cause}}",
          },
          {
            expr: `sum by (tier) (increase(${of("vitrine_l2_cleanup_failures_total")}[$__rate_interval]))`,
            legend: "failed clean-up in {{tier}}",
          },
        ],
      },
    ],
  },
  {
    title: "HTTP and workers",
    panels: [
      {
        title: "Requests by route",
        question: "What do clients ask for?",
        action: "An unexpected route or a storm on one: find the client by the request log.",
        unit: "reqps",
        queries: [{
          expr: sumRate("http_request_method, http_route", requests),
          legend: "{{http_request_method}} {{http_route}}",
        }],
      },
      {
        title: "Running requests",
        question: "How many requests are running?",
        action:
          "Growth without end: clients or tiers hang; see L2 calls timed out, and the request log for what is slow.",
        unit: "short",
        queries: [{ expr: of("http_server_active_requests"), legend: "{{service_instance_id}}" }],
      },
      {
        title: "Server errors and broken bodies",
        question: "Do requests fail, and do clients or networks break off?",
        action:
          "The log names route, method and cause of each 5xx; broken bodies alone are the clients' or the network's doing.",
        unit: "reqps",
        queries: [
          { expr: `${sumRate("http_route", requests, serverErrors)} or vector(0)`, legend: "5xx {{http_route}}" },
          { expr: `sum(${rate("vitrine_http_aborted_total")})`, legend: "aborted" },
        ],
      },
      {
        title: "Body bytes",
        question: "How much do clients send and get?",
        action: "Compare with what the clients' side says; nothing to do here by itself.",
        unit: "Bps",
        queries: [
          { expr: `sum(${rate("vitrine_http_request_body_bytes_total")})`, legend: "received" },
          { expr: `sum(${rate("vitrine_http_response_body_bytes_total")})`, legend: "sent" },
        ],
      },
      {
        title: "Workers",
        question: "Do all workers serve?",
        action: "Any that are not ready for longer than some seconds: the log tells why they do not start.",
        unit: "short",
        stacked: true,
        queries: [{ expr: `sum by (state) (${of("vitrine_workers")})`, legend: "{{state}}" }],
      },
      {
        title: "Worker restarts",
        question: "Do workers die or hang, and why? A repair of L1 follows a death in the middle of a change.",
        action: "Read the log of that time; hung: something kept a worker busy or waiting for VITRINE_WORKER_TIMEOUT.",
        unit: "short",
        queries: [
          {
            expr: `sum by (thread, cause) (increase(${of("vitrine_worker_restarts_total")}[$__rate_interval]))`,
            legend: "{{cause}}",
          },
          { expr: `sum(increase(${of("vitrine_l1_repairs_total")}[$__rate_interval]))`, legend: "repairs of L1" },
        ],
      },
    ],
  },
  {
    title: "Who, and can it be trusted",
    panels: [
      {
        title: "Top tenants",
        question:
          "Who reads most? Tenants beyond the top ones are one line, _other; no name is the tenant without a name.",
        action: "One tenant crowds out the others: give it a server of its own, or raise the sizes.",
        unit: "ops",
        queries: [{
          expr: `topk(10, ${sumRate("cache_salt", "lmcache_mp_l1_read_chunks_total")})`,
          legend: "{{cache_salt}}",
        }],
      },
      {
        title: "Top series of events",
        question: "Which events does the server make most of?",
        action:
          "Unexpected growth points at the component to look at; single events cost more than folded ones: no debug level in production.",
        unit: "ops",
        queries: [{
          expr: `topk(10, ${sumRate("event", "vitrine_eventbus_events_total", 'state="published"')})`,
          legend: "{{event}}",
        }],
      },
      {
        title: "Bus: published = delivered + rolled up + lost",
        question: "What happens to the events? Rolled up ones are counted and lose details; lost ones are not counted.",
        action: "Rolled up all the time: raise VITRINE_EVENT_QUEUE if logs and traces need the details.",
        unit: "ops",
        queries: [{ expr: sumRate("state", "vitrine_eventbus_events_total"), legend: "{{state}}" }],
      },
      {
        title: "Bus: not accounted for",
        question: "Is the sum right, apart from events that wait? A value that stays is a fault.",
        action: "Above zero for longer than a scrape: report it.",
        unit: "short",
        queries: [{
          expr: `sum(${of("vitrine_eventbus_events_total", 'state="published"')}) - sum(${
            of("vitrine_eventbus_events_total", 'state!="published"')
          }) - sum(${of("lmcache_mp_event_bus_queue_depth")})`,
          legend: "events",
        }],
      },
      {
        title: "Bus: lag",
        question: "How late are the numbers?",
        action: "Above a second: the main thread is short of processor time.",
        unit: "s",
        queries: [{ expr: of("lmcache_mp_event_bus_drain_lag_seconds"), legend: "{{service_instance_id}}" }],
      },
      {
        title: "Bus: lost, shed, exceptions",
        question: "Are the counters complete (lost = 0), are logs and traces (shed = 0), is a subscriber broken?",
        action: "Lost: see Worker restarts; shed: as for rolled up; an exception: read the log and report it.",
        unit: "ops",
        queries: [
          { expr: `sum(${rate("lmcache_mp_event_bus_dropped_events_total")})`, legend: "lost" },
          { expr: sumRate("event", "vitrine_eventbus_shed_events_total"), legend: "shed {{event}}" },
          {
            expr: sumRate("subscriber_name", "lmcache_mp_event_bus_subscriber_exceptions_total"),
            legend: "exception in {{subscriber_name}}",
          },
        ],
      },
    ],
  },
];
