import { Hono } from "hono";
import { describeRoute, resolver } from "hono-openapi";
import * as v from "valibot";
import { VitrineError } from "../src/core/errors.ts";
import { MAX_TENANT_BYTES } from "../src/core/object.ts";
import type { CountedQuota, Quotas } from "../src/storage/quotas.ts";
import type { AppOptions } from "./app_options.ts";
import { readJson } from "./batch/body.ts";
import type { Env, Exchange } from "./exchange.ts";
import { allow, forbid } from "./http/access.ts";
import { refusal, replyJson } from "./http/reply.ts";

/** Stands for the tenant "" in a path, where there can be no empty segment. */
const DEFAULT_TENANT = "_default";

const setSchema = v.strictObject({
  limit_bytes: v.pipe(
    v.number(),
    v.safeInteger("not a whole number"),
    v.minValue(0, "below 0"),
    v.description("Bytes of L1, metadata and rounding included."),
  ),
  strict: v.optional(
    v.pipe(v.boolean(), v.description("Refuse what would exceed the quota with 507; else it is the first to leave.")),
    false,
  ),
});
const quotaSchema = v.object({
  tenant: v.string(),
  limit_bytes: v.number(),
  strict: v.boolean(),
  used_bytes: v.pipe(v.number(), v.description("Bytes of L1 in use by the tenant at this moment.")),
  over: v.pipe(v.boolean(), v.description("It uses more than its quota, and gives way first.")),
  kept: v.pipe(v.boolean(), v.description("Kept over a restart of the server.")),
});
const quota = { "application/json": { schema: resolver(quotaSchema) } };

/** Tenants' quotas of L1. */
export function quotaRoutes({ access, quotas, transferWatch }: AppOptions): Hono<Env> {
  const app = new Hono<Env>();
  const path = "/v1/tenants/:tenant/quota";
  const bad = refusal("A bad name of a tenant, or a bad body");
  app.get(
    path,
    describeRoute({
      summary: "A tenant's quota of L1, and what it uses",
      tags: ["tenants"],
      responses: { 200: { description: "The quota", content: quota }, 400: bad, 404: refusal("It has no quota") },
    }),
    allow({ access, scopes: ["read", "admin"] }),
    async (c) => {
      const exchange = c.get("exchange");
      const tenant = tenantAt(exchange, 3);
      if (!mayRead(exchange, tenant)) forbid(exchange, c.req.raw);
      return replyJson(exchange, quotaOf(await found(quotas, tenant), quotas));
    },
  );
  app.put(
    path,
    describeRoute({
      summary: "Set a tenant's quota of L1",
      tags: ["tenants"],
      requestBody: { required: true, content: { "application/json": { schema: resolver(setSchema) } } },
      responses: {
        200: { description: "In effect, in all workers", content: quota },
        400: bad,
        503: refusal("In effect, and not kept for the next start of the server"),
        507: refusal("As many other tenants have a quota as may"),
      },
    }),
    allow({ access, scopes: ["admin"] }),
    async (c) => {
      const exchange = c.get("exchange");
      const tenant = tenantAt(exchange, 3);
      const { limit_bytes, strict } = await readJson(setSchema, { exchange, request: c.req.raw, transferWatch });
      await quotas.set(tenant, { limitBytes: limit_bytes, isStrict: strict });
      return replyJson(exchange, quotaOf(await found(quotas, tenant), quotas));
    },
  );
  app.delete(
    path,
    describeRoute({
      summary: "End a tenant's quota of L1",
      tags: ["tenants"],
      responses: {
        204: { description: "Ended: the tenant's objects stay, and are no longer kept from eviction" },
        400: bad,
        404: refusal("It has no quota"),
        503: refusal("Ended, and not yet for the next start of the server"),
      },
    }),
    allow({ access, scopes: ["admin"] }),
    async (c) => {
      if (!await quotas.set(tenantAt(c.get("exchange"), 3), undefined)) throw noQuota();
      return c.body(null, 204);
    },
  );
  return app;
}

/** The tenant that a segment of a request's path names, by its number from 1 on. Throws bad_request. */
export function tenantAt({ path }: Exchange, segment: number): string {
  const tenant = decoded(path.split("/")[segment] ?? "");
  if (tenant === DEFAULT_TENANT) return "";
  if (tenant.length <= MAX_TENANT_BYTES && /^[\x20-\x7e]+$/.test(tenant)) return tenant;
  throw new VitrineError("bad_request", `parse tenant: not 1 to ${MAX_TENANT_BYTES} printable ASCII characters`);
}

/** Percent-decoded; "" if that cannot be done. The router leaves such a segment as it is. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return "";
  }
}

/** A tenant as a segment of a path, before percent-encoding. */
export function segmentOf(tenant: string): string {
  return tenant === "" ? DEFAULT_TENANT : tenant;
}

/** Everybody who may read a tenant's objects may read its quota; `admin` reads all. */
function mayRead({ grant }: Exchange, tenant: string): boolean {
  return grant.scopes.has("admin") || grant.anyTenant || grant.tenant === tenant;
}

async function found(quotas: Quotas, tenant: string): Promise<CountedQuota> {
  const quota = await quotas.get(tenant);
  if (quota === undefined) throw noQuota();
  return quota;
}

function noQuota(): VitrineError {
  return new VitrineError("not_found", "find quota: the tenant has none, and may use all of L1");
}

function quotaOf(
  { tenant, limitBytes, isStrict, usedBytes }: CountedQuota,
  { areKept }: Quotas,
): v.InferInput<typeof quotaSchema> {
  return {
    tenant,
    limit_bytes: limitBytes,
    strict: isStrict,
    used_bytes: usedBytes,
    over: usedBytes > limitBytes,
    kept: areKept,
  };
}
