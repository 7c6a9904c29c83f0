import type { Publish } from "../../src/core/events.ts";
import type { EventMap, EventName } from "../../src/events/catalogue.ts";

/** The types that `publishRequest` publishes, one each. */
export const requestEvents: readonly EventName[] = [
  "http.request.start",
  "sm.read.prefetched",
  "lookup.finished",
  "l1.read.finished",
  "sm.read.finished",
  "http.request.end",
];

/** The events of one GET or PUT, with labels that change from request to request as in mixed traffic. */
export function publishRequest(publish: Publish<EventMap>, turn: number): void {
  const method = (turn & 3) === 0 ? "PUT" : "GET";
  const one = { tenant: "", keys: 1, bytes: 4096 } as const;
  publish("http.request.start", { route: "/v1/objects/{key}", method });
  publish("sm.read.prefetched", { tenant: "", succeeded: 1, failed: 0 });
  publish("lookup.finished", { ...one, tier: turn % 10 === 0 ? "fs" : "l1", result: "hit", reason: "" });
  publish("l1.read.finished", one);
  publish("sm.read.finished", one);
  publish("http.request.end", {
    route: "/v1/objects/{key}",
    method,
    status: method === "GET" ? "200" : "201",
    outcome: "complete",
    seconds: (turn % 7) * 0.00004,
    requestBytes: 0,
    responseBytes: 4096,
  });
}
