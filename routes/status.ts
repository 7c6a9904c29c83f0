import { Hono } from "hono";
import { describeRoute, resolver } from "hono-openapi";
import { accepts } from "hono/accepts";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import * as v from "valibot";
import { SCOPES } from "../src/access/tokens.ts";
import type { AdminOptions } from "./app_options.ts";
import type { Env, Exchange } from "./exchange.ts";
import { allow } from "./http/access.ts";
import { replyJson, replyText } from "./http/reply.ts";

const text = { "text/plain": { schema: { type: "string" as const } } };

/** Liveness and readiness. */
export function healthRoutes({ isAlive, unready }: AdminOptions): Hono<Env> {
  const app = new Hono<Env>();
  app.get(
    "/healthz",
    describeRoute({
      summary: "Liveness: 503 if the process must be restarted",
      tags: ["health"],
      responses: {
        200: { description: "Alive", content: text },
        503: { description: "A worker hangs and cannot be stopped", content: text },
      },
    }),
    (c) => isAlive() ? replyHealth(c.get("exchange"), "ok", 200) : replyHealth(c.get("exchange"), "not ok", 503),
  );
  app.get(
    "/readyz",
    describeRoute({
      summary: "Readiness: 503 while no traffic should come",
      tags: ["health"],
      responses: {
        200: { description: "Ready", content: text },
        503: {
          description:
            "The server starts or stops, a tier cannot be used, or the storage thread hangs; the text names the reason",
          content: text,
        },
      },
    }),
    (c) => {
      const reason = unready();
      return reason === undefined
        ? replyHealth(c.get("exchange"), "ready", 200)
        : replyHealth(c.get("exchange"), `not ready: ${reason}`, 503);
    },
  );
  return app;
}

function replyHealth(exchange: Exchange, line: string, status: 200 | 503): Response {
  return replyText(exchange, `${line}\n`, { type: "text/plain; charset=utf-8", status });
}

/** The server's state, settings and version, as JSON. */
export function statusRoutes({ access, status, config, version }: AdminOptions): Hono<Env> {
  const describe = (summary: string) =>
    describeRoute({ summary, tags: ["status"], responses: { 200: { description: "JSON" } } });
  const admin = allow({ access, scopes: ["admin"] });
  const app = new Hono<Env>();
  app.get(
    "/status",
    describe("A snapshot of the tiers, the queues and the event bus"),
    admin,
    async (c) => replyJson(c.get("exchange"), await status()),
  );
  app.get(
    "/config",
    describe("The effective settings, without secrets"),
    admin,
    (c) => replyJson(c.get("exchange"), config()),
  );
  app.get("/version", describe("Version and runtime"), admin, (c) => replyJson(c.get("exchange"), version));
  return app;
}

const accessSchema = v.object({
  open: v.pipe(v.boolean(), v.description("No tokens are configured: every client may do everything.")),
  exposed: v.pipe(v.boolean(), v.description("The server listens on more than the loopback of its machine.")),
  token: v.optional(v.pipe(v.string(), v.description("The token's id."))),
  scopes: v.array(v.picklist(SCOPES)),
  tenant: v.optional(
    v.pipe(v.string(), v.description("The tenant of the token; missing if the request may name any.")),
  ),
  prefix: v.pipe(v.string(), v.description("Every key must start with this.")),
});

/** The rights of the token that a request has. */
export function accessRoutes({ access, isExposed }: AdminOptions): Hono<Env> {
  const app = new Hono<Env>();
  app.get(
    "/v1/access",
    describeRoute({
      summary: "The rights of your token",
      tags: ["status"],
      responses: {
        200: {
          description: "The token and its rights",
          content: { "application/json": { schema: resolver(accessSchema) } },
        },
      },
    }),
    allow({ access, scopes: SCOPES }),
    (c) => {
      const exchange = c.get("exchange");
      const { tokenId, scopes, tenant, anyTenant, prefix } = exchange.grant;
      const answer: v.InferInput<typeof accessSchema> = {
        open: access.isOpen,
        exposed: isExposed,
        ...(tokenId === "" ? {} : { token: tokenId }),
        scopes: SCOPES.filter((each) => scopes.has(each)),
        ...(anyTenant ? {} : { tenant }),
        prefix,
      };
      return replyJson(exchange, answer);
    },
  );
  return app;
}

const TYPE = "text/plain; version=0.0.4; charset=utf-8";
/** The parameter that Prometheus' client libraries use to choose metrics. */
const NAMES = "name[]";

const compress = promisify(gzip);

/** The metrics in Prometheus' text format 0.0.4, compressed for clients that accept gzip. */
export function metricsRoutes({ access, metricsText, metricsAreOpen }: AdminOptions): Hono<Env> {
  const app = new Hono<Env>();
  if (!metricsAreOpen) app.get("/metrics", allow({ access, scopes: ["metrics", "admin"] }));
  app.get(
    "/metrics",
    describeRoute({
      summary: "Metrics for Prometheus",
      tags: ["status"],
      parameters: [{
        name: NAMES,
        in: "query",
        description: "Only the metrics of these names; may be repeated. Names that do not exist are ignored.",
        schema: { type: "array", items: { type: "string" } },
      }],
      responses: { 200: { description: "Text", content: { "text/plain": { schema: { type: "string" } } } } },
    }),
    async (c) => {
      const exchange = c.get("exchange");
      const names = c.req.queries(NAMES);
      const all = await metricsText();
      const text = names === undefined ? all : selectMetrics(all, new Set(names));
      const coding = accepts(c, { header: "Accept-Encoding", supports: ["gzip", "identity"], default: "identity" });
      const vary = { vary: "Accept-Encoding" };
      if (coding === "identity") return replyText(exchange, text, { type: TYPE, headers: vary });
      const bytes = Uint8Array.from(await compress(text));
      return replyText(exchange, bytes, { type: TYPE, headers: { ...vary, "content-encoding": "gzip" } });
    },
  );
  return app;
}

/** The part of a Prometheus text with the metrics of some names, and the comments before the first metric. */
function selectMetrics(text: string, names: ReadonlySet<string>): string {
  return text.split(/^(?=# HELP )/m).filter((block) => {
    const [, name] = /^# HELP (\S+)/.exec(block) ?? [];
    return name === undefined || names.has(name);
  }).join("");
}
