import type { AdminOptions } from "./app_options.ts";
import type { Call } from "./call.ts";
import { replyText } from "./http/reply.ts";
import type { Route } from "./route.ts";

const TEXT = "text/plain; charset=utf-8";
const content = { "text/plain": { schema: { type: "string" as const } } };

/** Liveness and readiness. */
export function healthRoutes({ isAlive, unready }: AdminOptions): readonly Route[] {
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
      handler: (call) => {
        const yes = isAlive();
        return tell(call, yes ? "ok" : "not ok", yes);
      },
    },
    {
      method: "GET",
      template: "/readyz",
      spec: {
        summary: "Whether traffic may come",
        tags: ["health"],
        responses: {
          200: { description: "Ready", content },
          503: {
            description:
              "Starting, stopping, a tier cannot be used, or the storage thread stands still: the text says why",
            content,
          },
        },
      },
      handler: (call) => {
        const why = unready();
        return tell(call, why === undefined ? "ready" : `not ready: ${why}`, why === undefined);
      },
    },
  ];
}

function tell(call: Call, text: string, yes: boolean): Response {
  return replyText(call, `${text}\n`, { type: TEXT, status: yes ? 200 : 503 });
}
