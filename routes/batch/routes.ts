import { Hono } from "hono";
import { describeRoute, resolver } from "hono-openapi";
import * as v from "valibot";
import { VitrineError } from "../../src/core/errors.ts";
import type { AppOptions } from "../app_options.ts";
import type { Env, Exchange } from "../exchange.ts";
import { allow, namedObject } from "../http/access.ts";
import { bodyChunks } from "../http/body.ts";
import { refusal, replyJson, sendChunks } from "../http/reply.ts";
import { keyList, MAX_OBJECTS, readJson } from "./body.ts";
import { holderOf, LEASE_ID } from "./leases.ts";
import { FrameReader, FRAMES_TYPE } from "./frames.ts";
import { batchFrames, itemProblem } from "./read.ts";
import { storeFrames } from "./write.ts";

/** Number of objects that are deleted at the same time. */
const DELETES = 16;

const getSchema = v.strictObject({
  keys: keyList(),
  stop_at_miss: v.optional(
    v.pipe(v.boolean(), v.description("End after the first object that is not there or cannot be read.")),
    false,
  ),
  lease: v.optional(v.pipe(
    v.string(),
    v.regex(LEASE_ID, "not the id of a lease"),
    v.description("The id of a lease of a lookup, which is released once the whole answer has been taken."),
  )),
});
const deleteSchema = v.strictObject({ keys: keyList() });
const resultsSchema = v.object({
  results: v.pipe(
    v.array(v.looseObject({ key: v.string(), status: v.number(), etag: v.optional(v.string()) })),
    v.description(
      "In the order of the objects. Above 299 it has the fields of a problem too: type, title, detail, reason.",
    ),
  ),
});
const results = { "application/json": { schema: resolver(resultsSchema) } };
const bytes = { schema: { type: "string" as const, format: "binary" } };
const frames = { [FRAMES_TYPE]: bytes };
/** The type of a request's body does not matter. */
const sentFrames = { ...frames, "application/octet-stream": bytes };

/** Many objects in one request. */
export function batchRoutes(options: AppOptions): Hono<Env> {
  const { access, limits, storage, sender, transferWatch, discard } = options;
  const app = new Hono<Env>();
  app.post(
    "/v1/batch/get",
    describeRoute({
      summary: "Read many objects",
      tags: ["batches"],
      requestBody: { required: true, content: { "application/json": { schema: resolver(getSchema) } } },
      responses: {
        200: { description: "A frame for each key, in their order (docs/HTTP.md)", content: frames },
        400: refusal("Bad body, such as too many keys"),
        503: refusal("Too many requests are in progress"),
      },
    }),
    allow({ access, limits, scopes: ["read"] }),
    async (c) => {
      const exchange = c.get("exchange");
      const request = c.req.raw;
      const { keys, stop_at_miss, lease } = await readJson(getSchema, { exchange, request, transferWatch });
      const holder = lease === undefined ? undefined : holderOf(lease);
      const { copyLimitBytes } = sender;
      const chunks = batchFrames({ keys, stopAtMiss: stop_at_miss, exchange, request, storage, copyLimitBytes });
      const headers = { "content-type": FRAMES_TYPE, "cache-control": "no-store", "x-content-type-options": "nosniff" };
      const sent = holder === undefined
        ? chunks
        : releasedAfter(chunks, () => storage.release(holder, exchange.tenant));
      return new Response(sendChunks(exchange, sent, transferWatch), { headers });
    },
  );
  app.post(
    "/v1/batch/put",
    describeRoute({
      summary: "Store many objects",
      tags: ["batches"],
      requestBody: { required: true, content: sentFrames },
      responses: {
        200: { description: "The result of each object, in their order", content: results },
        400: refusal("The body is not made of frames, or has too many; the objects before that stay stored"),
        408: refusal("The body arrives too slowly; the objects before that stay stored"),
        503: refusal("Too many requests or bytes are in progress"),
      },
    }),
    allow({ access, limits, scopes: ["write", "create-only"] }),
    async (c) => {
      const exchange = c.get("exchange");
      const request = c.req.raw;
      const chunks = bodyChunks(exchange, request, { discard, transferWatch });
      const body = new FrameReader(async () => (await chunks.next()).value ?? undefined);
      try {
        const maxObjects = MAX_OBJECTS;
        return replyJson(exchange, { results: await storeFrames(body, { exchange, request, storage, maxObjects }) });
      } finally {
        await chunks.return();
      }
    },
  );
  app.post(
    "/v1/batch/delete",
    describeRoute({
      summary: "Delete many objects from all tiers",
      tags: ["batches"],
      requestBody: { required: true, content: { "application/json": { schema: resolver(deleteSchema) } } },
      responses: {
        200: { description: "The result of each key, in their order: 204, or a problem", content: results },
        400: refusal("Bad body, such as too many keys"),
        503: refusal("Too many requests are in progress"),
      },
    }),
    allow({ access, limits, scopes: ["delete"] }),
    async (c) => {
      const exchange = c.get("exchange");
      const request = c.req.raw;
      const { keys } = await readJson(deleteSchema, { exchange, request, transferWatch });
      const results: object[] = [];
      const waiting = keys.entries();
      const work = async () => {
        for (const [index, key] of waiting) {
          results[index] = { key, ...await deleteOne(storage, { exchange, request, key }) };
        }
      };
      await Promise.all(Array.from({ length: DELETES }, work));
      return replyJson(exchange, { results });
    },
  );
  return app;
}

/** The chunks; calls `release` once all of them have been taken. */
async function* releasedAfter(
  chunks: AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>,
  release: () => void,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  yield* chunks;
  release();
}

async function deleteOne(
  storage: AppOptions["storage"],
  { exchange, request, key }: { readonly exchange: Exchange; readonly request: Request; readonly key: string },
): Promise<object> {
  try {
    if (await storage.delete(namedObject(exchange, request, key))) return { status: 204 };
    throw new VitrineError("not_found", "delete object: no such key");
  } catch (error) {
    return itemProblem(exchange, error);
  }
}
