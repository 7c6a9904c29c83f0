import type { Attributes } from "@opentelemetry/api";
import type { Subscriber, Subscriptions } from "../../events/subscriber.ts";
import type { Instruments } from "./instruments.ts";

/** A kind of answer that a server is known to give, so that its series exist at zero. */
export interface KnownResponse {
  readonly method: string;
  /** The route's template. */
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
    const requestBytes = instruments.counter("vitrine_http_request_body_bytes_total");
    const responseBytes = instruments.counter("vitrine_http_response_body_bytes_total");
    const aborted = instruments.counter("vitrine_http_aborted_total");
    for (const response of responses) duration.record(0, { count: 0, attributes: attributesOf(response) });
    this.subscriptions = {
      "http.request.end": (event) => {
        duration.record(event.seconds, { count: event.count, attributes: attributesOf(event) });
        requestBytes.add(event.requestBytes);
        responseBytes.add(event.responseBytes);
        if (event.outcome === "aborted") aborted.add(event.count);
      },
    };
  }
}

function attributesOf({ method, route, status }: KnownResponse): Attributes {
  return { http_request_method: method, http_route: route, http_response_status_code: status };
}
