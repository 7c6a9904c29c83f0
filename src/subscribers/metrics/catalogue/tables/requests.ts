import { MISS_REASONS } from "../../../../core/miss_reason.ts";
import { LATENCY_BOUNDS, SIZE_BOUNDS } from "../../../../events/catalogue.ts";
import type { MetricRow } from "../table_row.ts";

const BODY = {
  kind: "histogram",
  unit: "By",
  from: ["http.body"],
  labels: ["http_request_method", "http_route", "http_response_status_code"],
  zero: [],
  bounds: SIZE_BOUNDS,
} as const;

/** What clients asked and got. */
export const requestsTable = {
  vitrine_lookups_total: {
    kind: "counter",
    unit: "{lookup}",
    help: "Objects looked up by GET and HEAD, by where they were found; tier none if nowhere.",
    answers: "What is the hit rate, and which tier earns it? Divide the rate of result=hit by the rate of all.",
    from: ["lookup.finished"],
    labels: ["tier", "result"],
    zero: [{ tier: "tiers", result: ["hit"] }, { tier: ["none"], result: ["miss", "error"] }],
  },
  vitrine_lookup_misses_total: {
    kind: "counter",
    unit: "{lookup}",
    help:
      "Misses by how the last copy of the object was lost; never_stored: not stored since the server started; unknown: stored, and how it was lost is forgotten.",
    answers:
      "Why do lookups miss? Evictions (watermark, pressure, capacity) mean that a tier is too small. The sum over all reasons is that of vitrine_lookups_total with result=miss.",
    from: ["lookup.finished"],
    labels: ["reason"],
    zero: [{ reason: MISS_REASONS }],
  },
  vitrine_read_bytes_total: {
    kind: "counter",
    unit: "By",
    help: "Payload bytes read out of a tier: whole objects from L1, loads from the others.",
    answers: "Which tier carries the traffic?",
    from: ["l1.read.finished", "l2.load.completed"],
    labels: ["tier"],
    zero: [{ tier: "tiers" }],
  },
  vitrine_written_bytes_total: {
    kind: "counter",
    unit: "By",
    help: "Payload bytes of the objects that writes stored.",
    answers: "How much new data comes in?",
    from: ["sm.write.finished"],
    labels: [],
  },
  http_server_request_duration_seconds: {
    kind: "histogram",
    unit: "s",
    help: "Time from a request's arrival at its route to the end of its response.",
    answers: "How many requests, how fast, and with which status?",
    from: ["http.request.end"],
    labels: ["http_request_method", "http_route", "http_response_status_code"],
    zero: [],
    bounds: LATENCY_BOUNDS,
  },
  http_server_request_body_size_bytes: {
    ...BODY,
    help: "Length of the request bodies that are not empty.",
    answers: "How large are the objects that come in?",
  },
  http_server_response_body_size_bytes: {
    ...BODY,
    help: "Length of the response bodies that are not empty.",
    answers: "How large are the objects that go out?",
  },
  vitrine_http_request_body_bytes_total: {
    kind: "counter",
    unit: "By",
    help: "Body bytes received.",
    answers: "How much do clients send?",
    from: ["http.request.end"],
    labels: [],
  },
  vitrine_http_response_body_bytes_total: {
    kind: "counter",
    unit: "By",
    help: "Body bytes handed to the runtime for sending.",
    answers: "How much do clients get?",
    from: ["http.request.end"],
    labels: [],
  },
  vitrine_http_aborted_total: {
    kind: "counter",
    unit: "{request}",
    help: "Requests whose body broke off on either side.",
    answers: "Do clients or networks give up?",
    from: ["http.request.end"],
    labels: [],
  },
} as const satisfies Record<string, MetricRow>;
