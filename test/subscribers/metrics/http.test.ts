import { expect, test } from "bun:test";
import { HttpMetrics } from "../../../src/subscribers/metrics/http.ts";
import { MetricsHarness, type Published } from "./harness.ts";

const GET = { route: "/v1/objects/{key}", method: "GET", status: "200", outcome: "complete" } as const;
const events: readonly Published[] = [
  ["http.request.start", GET],
  ["http.request.end", { ...GET, seconds: 0.1, requestBytes: 0, responseBytes: 4096 }],
  ["http.request.end", { ...GET, seconds: 0.1, requestBytes: 0, responseBytes: 4096 }],
  ["http.request.end", { ...GET, seconds: 0.1, requestBytes: 0, responseBytes: 1 }],
  ["http.request.end", { ...GET, outcome: "aborted", seconds: 0.00005, requestBytes: 7, responseBytes: 3 }],
  ["http.request.end", { ...GET, method: "PUT", status: "201", seconds: 20, requestBytes: 100, responseBytes: 0 }],
  ["http.body", { ...GET, direction: "response", bytes: 4096 }],
  ["http.body", { ...GET, direction: "response", bytes: 4096 }],
  ["http.body", { ...GET, direction: "response", bytes: 1 }],
  ["http.body", { ...GET, direction: "request", method: "PUT", status: "201", bytes: 70_000_000 }],
];
const series = (method: string, status: string, metric = "request_duration_seconds") =>
  `http_server_${metric}{http_request_method="${method}",http_route="/v1/objects/{key}",http_response_status_code="${status}"}`;

for (const how of ["folded", "single"] as const) {
  test(`HttpMetrics counts requests and bytes and keeps a value on a bound in its bucket when events come ${how}`, async () => {
    const harness = new MetricsHarness();
    await harness.publish(new HttpMetrics(harness.instruments, []), events, how);
    expect(await harness.series()).toEqual({
      [series("GET", "200")]: { count: 4, sum: expect.any(Number), buckets: { "0.00005": 1, "0.1": 3 } },
      [series("PUT", "201")]: { count: 1, sum: 20, buckets: { "+Inf": 1 } },
      [series("GET", "200", "response_body_size_bytes")]: { count: 3, sum: 8193, buckets: { "1024": 1, "4096": 2 } },
      [series("PUT", "201", "request_body_size_bytes")]: { count: 1, sum: 70_000_000, buckets: { "+Inf": 1 } },
      vitrine_http_request_body_bytes_total: 107,
      vitrine_http_response_body_bytes_total: 8196,
      vitrine_http_aborted_total: 1,
    });
  });
}

test("HttpMetrics shows known responses at zero before the first request", async () => {
  const harness = new MetricsHarness();
  await harness.publish(new HttpMetrics(harness.instruments, [GET]), []);
  expect(await harness.series()).toEqual({
    [series("GET", "200")]: { count: 0, sum: 0, buckets: {} },
    [series("GET", "200", "response_body_size_bytes")]: { count: 0, sum: 0, buckets: {} },
    vitrine_http_request_body_bytes_total: 0,
    vitrine_http_response_body_bytes_total: 0,
    vitrine_http_aborted_total: 0,
  });
});
