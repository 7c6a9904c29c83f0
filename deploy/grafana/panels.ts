/** One query of a panel; `legend` is Grafana's template. */
export interface Query {
  readonly expr: string;
  readonly legend: string;
}

/** One panel: what it shows, and the question it answers. */
export interface Panel {
  readonly title: string;
  readonly question: string;
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
    expr: `histogram_quantile(${quantile}, sum by (le, ${by}) (${rate(`${name}_bucket`)}))`,
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
        unit: "percentunit",
        stacked: true,
        queries: [{
          expr: `${
            sumRate("tier", "vitrine_lookups_total", 'result="hit"')
          } / ignoring (tier) group_left () ${lookups}`,
          legend: "{{tier}}",
        }],
      },
      {
        title: "Misses by reason",
        question: "Why do lookups find nothing? Much watermark, pressure, capacity: a tier is too small for its work.",
        unit: "ops",
        stacked: true,
        queries: [{ expr: sumRate("reason", "vitrine_lookup_misses_total"), legend: "{{reason}}" }],
      },
      {
        title: "Requests",
        question: "How busy is the server, and with which answers?",
        unit: "reqps",
        stacked: true,
        queries: [{ expr: sumRate("http_response_status_code", requests), legend: "{{http_response_status_code}}" }],
      },
      {
        title: "Throughput",
        question: "How much payload comes and goes?",
        unit: "Bps",
        queries: [
          { expr: sumRate("tier", "vitrine_read_bytes_total"), legend: "read from {{tier}}" },
          { expr: `sum(${rate("vitrine_written_bytes_total")})`, legend: "written" },
        ],
      },
      {
        title: "Latency of objects",
        question: "How long do clients wait for an object, to the last byte?",
        unit: "s",
        queries: [0.5, 0.9, 0.99].map((quantile) => ({
          expr: `histogram_quantile(${quantile}, sum by (le, http_request_method) (${
            rate("http_server_request_duration_seconds_bucket", objectRoute)
          }))`,
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
        question: "How near is L1 to its watermark, and how much of it do running uploads and loads hold?",
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
        unit: "ops",
        stacked: true,
        queries: [{ expr: sumRate("reason", "vitrine_l1_removed_objects_total"), legend: "{{reason}}" }],
      },
      {
        title: "L1 failures",
        question:
          "Do writes find no room, reads lose their object, holders let leases run out? All should stay at zero.",
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
        unit: "bytes",
        queries: [
          { expr: of("vitrine_used_bytes", 'tier!="l1"'), legend: "used {{tier}}" },
          { expr: `${of("vitrine_limit_bytes", 'tier!="l1"')} > 0`, legend: "limit {{tier}}" },
        ],
      },
      {
        title: "L2 calls",
        question: "What is each tier asked? A miss is an answer, not an error.",
        unit: "ops",
        queries: [{
          expr: sumRate("tier, op, outcome", "vitrine_l2_requests_total"),
          legend: "{{tier}} {{op}} {{outcome}}",
        }],
      },
      {
        title: "L2 errors, apart from misses",
        question: "Does a tier fail?",
        unit: "ops",
        queries: [{
          expr: sumRate("tier, op", "vitrine_l2_requests_total", 'outcome=~"error|failed"'),
          legend: "{{tier}} {{op}}",
        }],
      },
      {
        title: "L2 latency",
        question: "How fast is a tier?",
        unit: "s",
        queries: quantiles("vitrine_l2_duration_seconds", "tier, op", "{{tier}} {{op}}"),
      },
      {
        title: "L2 throughput",
        question: "How much moves between the levels?",
        unit: "Bps",
        queries: [{ expr: sumRate("tier, op", "vitrine_l2_bytes_total"), legend: "{{tier}} {{op}}" }],
      },
      {
        title: "L2 removals by reason",
        question: "Why do objects leave a tier? corrupt should stay at zero.",
        unit: "ops",
        stacked: true,
        queries: [{ expr: sumRate("tier, reason", "vitrine_l2_removed_objects_total"), legend: "{{tier}} {{reason}}" }],
      },
      {
        title: "Store queue",
        question: "How many objects wait to be stored, and would be lost in a crash?",
        unit: "short",
        queries: [
          { expr: of("vitrine_store_queue_entries"), legend: "waiting {{service_instance_id}}" },
          { expr: of("lmcache_mp_num_inflight_l2_stores"), legend: "being stored to {{l2_name}}" },
        ],
      },
      {
        title: "Store queue age",
        question: "How far back would a crash reach? Steady growth: L2 does not keep up with the writes.",
        unit: "s",
        queries: [{ expr: of("vitrine_store_queue_oldest_age_seconds"), legend: "{{service_instance_id}}" }],
      },
    ],
  },
  {
    title: "HTTP",
    panels: [
      {
        title: "Requests by route",
        question: "What do clients ask for?",
        unit: "reqps",
        queries: [{
          expr: sumRate("http_request_method, http_route", requests),
          legend: "{{http_request_method}} {{http_route}}",
        }],
      },
      {
        title: "Running requests",
        question: "How many requests are under way?",
        unit: "short",
        queries: [{ expr: of("http_server_active_requests"), legend: "{{service_instance_id}}" }],
      },
      {
        title: "Server errors and broken bodies",
        question: "Do requests fail, and do clients or networks give up?",
        unit: "reqps",
        queries: [
          { expr: `${sumRate("http_route", requests, serverErrors)} or vector(0)`, legend: "5xx {{http_route}}" },
          { expr: `sum(${rate("vitrine_http_aborted_total")})`, legend: "aborted" },
        ],
      },
      {
        title: "Body bytes",
        question: "How much do clients send and get?",
        unit: "Bps",
        queries: [
          { expr: `sum(${rate("vitrine_http_request_body_bytes_total")})`, legend: "received" },
          { expr: `sum(${rate("vitrine_http_response_body_bytes_total")})`, legend: "sent" },
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
        unit: "ops",
        queries: [{
          expr: `topk(10, ${sumRate("cache_salt", "lmcache_mp_l1_read_chunks_total")})`,
          legend: "{{cache_salt}}",
        }],
      },
      {
        title: "Top series of events",
        question: "Which events does the server make most of?",
        unit: "ops",
        queries: [{
          expr: `topk(10, ${sumRate("event", "vitrine_eventbus_events_total", 'state="published"')})`,
          legend: "{{event}}",
        }],
      },
      {
        title: "Bus: published = delivered + rolled up + lost",
        question: "What becomes of the events? Rolled up ones are counted and lose details; lost ones are not counted.",
        unit: "ops",
        queries: [{ expr: sumRate("state", "vitrine_eventbus_events_total"), legend: "{{state}}" }],
      },
      {
        title: "Bus: not accounted for",
        question: "Does the sum hold, but for the events that wait? What stays here is a fault.",
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
        unit: "s",
        queries: [{ expr: of("lmcache_mp_event_bus_drain_lag_seconds"), legend: "{{service_instance_id}}" }],
      },
      {
        title: "Bus: lost, shed, exceptions",
        question: "Are the counters complete (lost = 0), are logs and traces (shed = 0), is a subscriber broken?",
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
