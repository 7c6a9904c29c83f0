import { replyJson } from "./http/reply.ts";
import type { AdminOptions } from "./app_options.ts";
import type { Route } from "./route.ts";

/** What is inside, as JSON. */
export function statusRoutes({ status, config, version }: AdminOptions): readonly Route[] {
  const about = (summary: string) => ({ summary, tags: ["status"], responses: { 200: { description: "JSON" } } });
  return [
    {
      method: "GET",
      template: "/status",
      scopes: ["admin"],
      spec: about("Tiers, queues, event bus: a snapshot"),
      handler: async (call) => replyJson(call, await status()),
    },
    {
      method: "GET",
      template: "/config",
      scopes: ["admin"],
      spec: about("The effective settings, without secrets"),
      handler: (call) => replyJson(call, config()),
    },
    {
      method: "GET",
      template: "/version",
      scopes: ["admin"],
      spec: about("Version and runtime"),
      handler: (call) => replyJson(call, version),
    },
  ];
}
