import { catalogue, type EventMap, LATENCY_BOUNDS, SIZE_BOUNDS } from "../../../events/catalogue.ts";
import { counter, type Family, histogram } from "../metric.ts";
import { MISS_REASONS } from "../../../core/events.ts";

/** Lookups by clients, and the payload read and written. */
export const trafficFamily: Family = {
  name: "metrics.traffic",
  metrics: [
    counter("vitrine_lookups_total", {
      unit: "{lookup}",
      help: "Objects looked up by GET and HEAD, by the tier that had them; tier none if no tier had them.",
      answers: "What is the hit rate, and which tier earns it? Divide the rate of result=hit by the rate of all.",
      labels: ["tier", "result"],
      zero: [{ tier: "tiers", result: ["hit"] }, { tier: ["none"], result: ["miss", "error"] }],
    }).on("lookup.finished", ({ keys, tier, result }) => [keys, { tier: tier || "none", result }]),
    counter("vitrine_lookup_misses_total", {
      unit: "{lookup}",
      help:
        "Misses by how the last copy of the object was lost; never_stored: not stored since the server started; unknown: it was stored, and the removal history no longer has the reason; tier_failed: a tier with on_error=miss could not answer.",
      answers:
        "Why do lookups miss? Evictions (watermark, pressure, capacity) mean that a tier is too small. The sum over all reasons equals vitrine_lookups_total with result=miss.",
      labels: ["reason"],
      zero: [{ reason: MISS_REASONS }],
    }).on("lookup.finished", ({ keys, result, reason }) => result === "miss" ? [keys, { reason }] : undefined),
    counter("vitrine_read_bytes_total", {
      unit: "By",
      help: "Payload bytes read from a tier: whole objects from L1, loads from the others.",
      answers: "Which tier carries the traffic?",
      labels: ["tier"],
      zero: [{ tier: "tiers" }],
    })
      .on("l1.read.finished", ({ bytes }) => [bytes, { tier: "l1" }])
      .on("l2.load.completed", ({ bytes, tier }) => [bytes, { tier }]),
    counter("vitrine_written_bytes_total", {
      unit: "By",
      help: "Payload bytes of the objects that writes stored.",
      answers: "How much new data comes in?",
    }).on("sm.write.finished", ({ outcome, bytes }) => outcome === "stored" ? bytes : undefined),
    counter("vitrine_write_back_failed_objects_total", {
      unit: "{object}",
      help: "Acknowledged objects that no tier took. They are lost when they leave L1.",
      answers: "Did an outage of the tiers last longer than the store queue could bridge?",
    }).on("sm.write_back.failed", ({ keys }) => keys),
  ],
};

const BY_RESPONSE = ["http_request_method", "http_route", "http_response_status_code"] as const;

const labelsOf = (
  { method, route, status }: Pick<EventMap["http.body"], "method" | "route" | "status">,
) => ({
  http_request_method: method,
  http_route: route,
  http_response_status_code: status,
});

/** HTTP requests, by the names of OpenTelemetry's semantic conventions. */
export const httpFamily: Family = {
  name: "metrics.http",
  metrics: [
    histogram("http_server_request_duration_seconds", {
      unit: "s",
      help: "Time from the arrival of a request at its route to the end of its response.",
      answers: "How many requests, how fast, and with which status?",
      labels: BY_RESPONSE,
      bounds: LATENCY_BOUNDS,
    }).on("http.request.end", (end) => [end.seconds, labelsOf(end)]),
    histogram("http_server_request_body_size_bytes", {
      unit: "By",
      help: "Length of non-empty request bodies.",
      answers: "How large are the objects that clients send?",
      labels: BY_RESPONSE,
      bounds: SIZE_BOUNDS,
    }).on("http.body", (body) => body.direction === "request" ? [body.bytes, labelsOf(body)] : undefined),
    histogram("http_server_response_body_size_bytes", {
      unit: "By",
      help: "Length of non-empty response bodies.",
      answers: "How large are the objects that clients receive?",
      labels: BY_RESPONSE,
      bounds: SIZE_BOUNDS,
    }).on("http.body", (body) => body.direction === "response" ? [body.bytes, labelsOf(body)] : undefined),
    counter("vitrine_http_request_body_bytes_total", {
      unit: "By",
      help: "Body bytes received.",
      answers: "How much do clients send?",
    }).on("http.request.end", ({ requestBytes }) => requestBytes),
    counter("vitrine_http_response_body_bytes_total", {
      unit: "By",
      help: "Body bytes handed to the runtime for sending.",
      answers: "How much do clients receive?",
    }).on("http.request.end", ({ responseBytes }) => responseBytes),
    counter("vitrine_http_aborted_total", {
      unit: "{request}",
      help: "Requests whose request body or response body was cut short.",
      answers: "Do clients disconnect, or does the network fail?",
    }).on("http.request.end", ({ outcome, count }) => outcome === "aborted" ? count : undefined),
  ],
};

/** Requests refused by access control and by limits, and reloads of the token file. */
export const accessFamily: Family = {
  name: "metrics.access",
  metrics: [
    counter("vitrine_auth_failures_total", {
      unit: "{request}",
      help:
        "Requests refused by access control; missing: no credentials; unknown: unknown credentials; limited: too many unknown credentials from one address; busy: too many passwords or JWTs were being checked; no_keys: the keys of the JWT's issuer could not be loaded; forbidden: the token does not allow the request.",
      answers:
        "Is somebody guessing tokens, or is a client misconfigured? The log has the addresses. Clients that wait for a challenge cause one missing per request.",
      labels: ["reason"],
      zero: [{ reason: catalogue["access.refused"].fields.reason.values }],
    }).on("access.refused", ({ count, reason }) => [count, { reason }]),
    counter("vitrine_limits_reached_total", {
      unit: "{request}",
      help:
        "Requests that were refused, or whose transfer was ended, by limit; requests: requests in progress; tenant_requests: those of a tenant; tenant_rate: requests of a tenant in a second; upload_bytes: bytes of bodies that are being received; transfer: a body moved too slowly; object_size: the size of an object; metadata: the header fields kept with it; event_streams: open streams of events.",
      answers: "Which limit do clients reach? The log has the tenants.",
      labels: ["limit"],
      zero: [{ limit: catalogue["limit.reached"].fields.limit.values }],
    }).on("limit.reached", ({ count, limit }) => [count, { limit }]),
    counter("vitrine_token_file_loads_total", {
      unit: "{load}",
      help: "Reloads of the token file; failed: the file is invalid, and the previous tokens stay in effect.",
      answers: "Was a new token file loaded?",
      labels: ["outcome"],
      zero: [{ outcome: catalogue["access.tokens.changed"].fields.outcome.values }],
    }).on("access.tokens.changed", ({ count, outcome }) => [count, { outcome }]),
    counter("vitrine_jwks_loads_total", {
      unit: "{load}",
      help:
        "Loads of the keys of JWTs, by each thread; loaded: they changed; failed: the previous keys stay in effect.",
      answers: "Can the keys be loaded? New keys of the issuer are unknown until then.",
      labels: ["outcome"],
      zero: [{ outcome: catalogue["access.keys.changed"].fields.outcome.values }],
    }).on("access.keys.changed", ({ count, outcome }) => [count, { outcome }]),
    counter("vitrine_tls_certificate_loads_total", {
      unit: "{load}",
      help: "Renewals of the certificate; failed: it cannot be used, and the previous one stays in effect.",
      answers: "Was the certificate renewed?",
      labels: ["outcome"],
      zero: [{ outcome: catalogue["tls.certificate.changed"].fields.outcome.values }],
    }).on("tls.certificate.changed", ({ count, outcome }) => [count, { outcome }]),
  ],
};
