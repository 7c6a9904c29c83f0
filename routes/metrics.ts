import { replyText } from "./http/reply.ts";
import type { AdminOptions } from "./app_options.ts";
import type { Route } from "./route.ts";

/** The metrics in Prometheus' text format 0.0.4. */
export function metricsRoutes({ metricsText, metricsAreOpen }: AdminOptions): readonly Route[] {
  return [{
    method: "GET",
    template: "/metrics",
    ...(metricsAreOpen ? {} : { scopes: ["metrics", "admin"] }),
    spec: { summary: "Metrics for Prometheus", tags: ["status"], responses: { 200: { description: "Text" } } },
    handler: async (call) => replyText(call, await metricsText(), { type: "text/plain; version=0.0.4; charset=utf-8" }),
  }];
}
