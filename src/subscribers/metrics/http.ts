import type { Attributes } from "@opentelemetry/api";
import type { Subscriber, Subscriptions } from "../../events/subscriber.ts";
import type { Instruments } from "./support/instruments.ts";

/** A kind of answer that a server is known to give, so that its series exist at zero. */
export interface KnownResponse {
  readonly method: string;
  /** The route's template, or _other. */
  readonly route: string;
  /** In digits. */
  readonly status: string;
}

/** Counts and times HTTP requests, by the names of OpenTelemetry's semantic conventions. */
export class HttpMetrics implements Subscriber {
  readonly name = "metrics.http";
  readonly subscriptions: Subscriptions;

  constructor(instruments: Instruments, responses: readonly KnownResponse[]) {
    const duration = instruments.histogram("http_server_request_duration_seconds");
    const requestSize = instruments.histogram("http_server_request_body_size_bytes");
    const responseSize = instruments.histogram("http_server_response_body_size_bytes");
    const requestBytes = instruments.counter("vitrine_http_request_body_bytes_total");
    const responseBytes = instruments.counter("vitrine_http_response_body_bytes_total");
    const aborted = instruments.counter("vitrine_http_aborted_total");
    for (const response of responses) {
      const zero = { count: 0, attributes: attributesOf(response) };
      duration.record(0, zero);
      if (mayHaveBody(response.method)) requestSize.record(0, zero);
      responseSize.record(0, zero);
    }
    this.subscriptions = {
      "http.request.end": (event) => {
        duration.record(event.seconds, { count: event.count, attributes: attributesOf(event) });
        requestBytes.add(event.requestBytes);
        responseBytes.add(event.responseBytes);
        if (event.outcome === "aborted") aborted.add(event.count);
      },
      "http.body": (event) => {
        const histogram = event.direction === "request" ? requestSize : responseSize;
        histogram.record(event.bytes, { count: event.count, attributes: attributesOf(event) });
      },
    };
  }
}

function mayHaveBody(method: string): boolean {
  return method === "PUT" || method === "POST";
}

function attributesOf({ method, route, status }: KnownResponse): Attributes {
  return { http_request_method: method, http_route: route, http_response_status_code: status };
}
