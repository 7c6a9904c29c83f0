import { replyText } from "./http/reply.ts";
import type { AppOptions } from "./app_options.ts";
import type { Route } from "./route.ts";

const TEXT = "text/plain; charset=utf-8";

/** Liveness and readiness. */
export function healthRoutes({ isReady }: AppOptions): readonly Route[] {
  return [
    {
      method: "GET",
      template: "/healthz",
      spec: { summary: "Whether the process answers", tags: ["health"], responses: { 200: { description: "Alive" } } },
      handler: (call) => replyText(call, "ok\n", { type: TEXT }),
    },
    {
      method: "GET",
      template: "/readyz",
      spec: {
        summary: "Whether traffic may come",
        tags: ["health"],
        responses: { 200: { description: "Ready" }, 503: { description: "Starting, or shutting down" } },
      },
      handler: (call) =>
        isReady()
          ? replyText(call, "ready\n", { type: TEXT })
          : replyText(call, "not ready\n", { type: TEXT, status: 503 }),
    },
  ];
}
