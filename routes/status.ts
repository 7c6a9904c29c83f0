import { replyJson, replyText } from "./http/reply.ts";
import type { AdminOptions } from "./app_options.ts";
import type { Route } from "./route.ts";
import type { Call } from "./call.ts";
import { resolver } from "hono-openapi";
import * as v from "valibot";
import { type Scope, SCOPES } from "../src/access/scope.ts";

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

const scope = v.picklist(SCOPES);
const accessSchema = v.object({
  open: v.pipe(v.boolean(), v.description("No tokens are configured: whoever reaches the server may do everything.")),
  exposed: v.pipe(v.boolean(), v.description("It listens on more than its machine's loopback.")),
  token: v.optional(v.pipe(v.string(), v.description("The token's id."))),
  scopes: v.array(scope),
  tenant: v.optional(v.pipe(v.string(), v.description("Whose objects; missing: the request says."))),
  prefix: v.pipe(v.string(), v.description("Every key has to start with it.")),
});

/** What the one who asks may do. */
export function accessRoutes({ access, isExposed }: AdminOptions): readonly Route[] {
  return [{
    method: "GET",
    template: "/v1/access",
    scopes: SCOPES,
    spec: {
      summary: "What you may do",
      tags: ["status"],
      responses: {
        200: {
          description: "What the token allows",
          content: { "application/json": { schema: resolver(accessSchema) } },
        },
      },
    },
    handler: (call) => {
      const { tokenId, scopes, tenant, anyTenant, prefix } = call.grant;
      const answer: v.InferInput<typeof accessSchema> = {
        open: access.isOpen,
        exposed: isExposed,
        ...(tokenId === "" ? {} : { token: tokenId }),
        scopes: SCOPES.filter((each: Scope) => scopes.has(each)),
        ...(anyTenant ? {} : { tenant }),
        prefix,
      };
      return replyJson(call, answer);
    },
  }];
}
