import { Hono } from "hono";
import { describeRoute, resolver } from "hono-openapi";
import * as v from "valibot";
import type { AppOptions } from "./app_options.ts";
import { readJson } from "./batch/body.ts";
import type { Env } from "./exchange.ts";
import { allow } from "./http/access.ts";
import { refusal, replyJson } from "./http/reply.ts";
import { segmentOf, tenantAt } from "./quotas.ts";

const GIB = 1024 ** 3;
/** The largest quota in GiB whose bytes are a whole number. */
const MAX_GIB = Number.MAX_SAFE_INTEGER / GIB;

const limitSchema = v.object({
  limit_gb: v.pipe(v.number(), v.finite("not finite"), v.minValue(0, "below 0"), v.maxValue(MAX_GIB, "too large")),
});
const clearSchema = v.object({ tier: v.optional(v.literal("l1", "only l1 can be cleared"), "l1") });
const json = { "application/json": { schema: resolver(v.looseObject({})) } };
const BAD_TENANT = { 400: refusal("A bad name of a tenant") };

/** The part of LMCache's control plane that its command line uses: quotas in GiB, the health, clearing of L1. */
export function lmcacheRoutes({ access, quotas, storage, unready, transferWatch }: AppOptions): Hono<Env> {
  const app = new Hono<Env>();
  const admin = allow({ access, scopes: ["admin"] });
  const describe = (summary: string, more: Parameters<typeof describeRoute>[0]["responses"] = {}) =>
    describeRoute({ summary, tags: ["lmcache"], responses: { 200: { description: "JSON", content: json }, ...more } });
  app.get("/quota", describe("All quotas, as LMCache lists them"), admin, async (c) => {
    const users = (await quotas.list()).map(({ tenant, limitBytes, usedBytes }) =>
      [segmentOf(tenant), { limit_gb: limitBytes / GIB, current_usage_gb: usedBytes / GIB }] as const
    );
    return replyJson(c.get("exchange"), { users: Object.fromEntries(users) });
  });
  app.get("/quota/:salt", describe("A tenant's quota, as LMCache shows it", BAD_TENANT), admin, async (c) => {
    const tenant = tenantAt(c.get("exchange"), 2);
    const quota = await quotas.get(tenant);
    return replyJson(c.get("exchange"), {
      cache_salt: segmentOf(tenant),
      limit_gb: (quota?.limitBytes ?? 0) / GIB,
      current_usage_gb: (quota?.usedBytes ?? await quotas.usedBy(tenant)) / GIB,
      exists: quota !== undefined,
    });
  });
  app.put(
    "/quota/:salt",
    describe("Set a tenant's soft quota, as LMCache does", {
      400: refusal("A bad name of a tenant; no limit_gb, or a bad one"),
    }),
    admin,
    async (c) => {
      const exchange = c.get("exchange");
      const tenant = tenantAt(c.get("exchange"), 2);
      const { limit_gb } = await readJson(limitSchema, { exchange, request: c.req.raw, transferWatch });
      await quotas.set(tenant, { limitBytes: Math.floor(limit_gb * GIB), isStrict: false });
      return replyJson(exchange, { cache_salt: segmentOf(tenant), limit_gb, status: "ok" });
    },
  );
  app.delete("/quota/:salt", describe("End a tenant's quota, as LMCache does", BAD_TENANT), admin, async (c) => {
    const tenant = tenantAt(c.get("exchange"), 2);
    const status = await quotas.set(tenant, undefined) ? "removed" : "not_found";
    return replyJson(c.get("exchange"), { cache_salt: segmentOf(tenant), status });
  });
  app.get("/healthcheck", describe("Readiness, as LMCache tells it", { 503: { description: "Not ready" } }), (c) => {
    const reason = unready();
    return reason === undefined
      ? replyJson(c.get("exchange"), { status: "healthy" })
      : replyJson(c.get("exchange"), { status: "unhealthy", reason }, 503);
  });
  app.post(
    "/cache/clear",
    describe("Clear L1 of all tenants; what no tier has yet is stored first", { 400: refusal("Another tier than l1") }),
    admin,
    async (c) => {
      const exchange = c.get("exchange");
      const request = c.req.raw;
      const { tier } = request.body === null
        ? { tier: "l1" as const }
        : await readJson(clearSchema, { exchange, request, transferWatch });
      await storage.clear({ tenant: undefined, tier });
      return replyJson(exchange, { status: "ok", cleared: { tier } });
    },
  );
  return app;
}
