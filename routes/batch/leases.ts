import { Hono } from "hono";
import { describeRoute } from "hono-openapi";
import { VitrineError } from "../../src/core/errors.ts";
import type { Holder } from "../../src/storage/storage.ts";
import type { AppOptions } from "../app_options.ts";
import type { Env } from "../exchange.ts";
import { allow } from "../http/access.ts";
import { refusal } from "../http/reply.ts";

/** The longest time of a lease, in seconds. */
export const MAX_LEASE_SECONDS = 600;

/** The ids of leases: 16 hexadecimal digits. */
export const LEASE_ID = /^[0-9a-f]{16}$/;

/** A lease with a name that nobody can guess. */
export function newHolder(): Holder {
  const [high = 0, low = 0] = crypto.getRandomValues(new Int32Array(2));
  return { high, low };
}

/** The id of a lease. */
export function leaseId({ high, low }: Holder): string {
  return [high, low].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}

/** The lease with an id. Throws not_found if it is none. */
export function holderOf(id: string): Holder {
  const holder = parseHolder(id);
  if (holder === undefined) throw notFound();
  return holder;
}

/** Parses an id; undefined if it is none. */
export function parseHolder(id: string): Holder | undefined {
  if (!LEASE_ID.test(id)) return undefined;
  const [high = 0, low = 0] = [id.slice(0, 8), id.slice(8)].map((half) => Number.parseInt(half, 16) | 0);
  return { high, low };
}

function notFound(): VitrineError {
  return new VitrineError("not_found", "release lease: none with this id, or it has ended");
}

/** The leases that lookups give. */
export function leaseRoutes({ access, limits, storage }: AppOptions): Hono<Env> {
  return new Hono<Env>().delete(
    "/v1/leases/:id",
    describeRoute({
      summary: "Release the leases of a lookup",
      tags: ["batches"],
      responses: {
        204: { description: "Released: what was leased may be evicted" },
        404: refusal("No such lease, or it has ended"),
      },
    }),
    allow({ access, limits, scopes: ["read"] }),
    (c) => {
      const exchange = c.get("exchange");
      if (storage.release(holderOf(c.req.param("id")), exchange.tenant) === 0) throw notFound();
      return c.body(null, 204);
    },
  );
}
