import type { AdminOptions } from "./app_options.ts";
import type { Call } from "./call.ts";
import { replyText } from "./http/reply.ts";
import type { Route } from "./route.ts";

const TEXT = "text/plain; charset=utf-8";
const content = { "text/plain": { schema: { type: "string" as const } } };

/** Liveness and readiness. */
export function healthRoutes({ isAlive, isReady }: AdminOptions): readonly Route[] {
  return [
    {
      method: "GET",
      template: "/healthz",
      spec: {
        summary: "Whether the process is worth keeping",
        tags: ["health"],
        responses: {
          200: { description: "Yes", content },
          503: { description: "A worker hangs and cannot be stopped: restart", content },
        },
      },
      handler: (call) => tell(call, isAlive(), "ok"),
    },
    {
      method: "GET",
      template: "/readyz",
      spec: {
        summary: "Whether traffic may come",
        tags: ["health"],
        responses: {
          200: { description: "Ready", content },
          503: { description: "Starting, shutting down, or a tier cannot be used", content },
        },
      },
      handler: (call) => tell(call, isReady(), "ready"),
    },
  ];
}

function tell(call: Call, yes: boolean, word: string): Response {
  return replyText(call, yes ? `${word}\n` : `not ${word}\n`, { type: TEXT, status: yes ? 200 : 503 });
}
