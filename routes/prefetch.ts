import { createHash } from "node:crypto";
import { Hono } from "hono";
import { describeRoute, resolver } from "hono-openapi";
import * as v from "valibot";
import { VitrineError } from "../src/core/errors.ts";
import type { Holder, JobOutcome, Name64, PrefetchState } from "../src/storage/storage.ts";
import type { AppOptions } from "./app_options.ts";
import { keyList, readJson } from "./batch/body.ts";
import { leaseId, MAX_LEASE_SECONDS, parseHolder } from "./batch/leases.ts";
import type { Env, Exchange } from "./exchange.ts";
import { allow, namedObject } from "./http/access.ts";
import { query } from "./http/query.ts";
import { refusal, replyJson } from "./http/reply.ts";

/** The longest time of a job, and the time of one that names none, in milliseconds. */
const [MAX_DEADLINE_MS, DEADLINE_MS] = [600_000, 30_000];
/** The longest time for which a request waits for the end of a job, in seconds. */
const MAX_WAIT_SECONDS = 30;

/** The outcomes of keys in answers; a key of a running job that has none yet is null. */
const OUTCOMES = ["hit", "loaded", "miss", "not_attempted", "refused_no_room", "failed"] as const;

const prefetchSchema = v.strictObject({
  keys: keyList(),
  mode: v.optional(
    v.pipe(
      v.picklist(["prefix", "full"]),
      v.description("prefix: the leading keys, up to the first that cannot be had. full: all that can be had."),
    ),
    "prefix",
  ),
  lease: v.optional(v.pipe(
    v.number(),
    v.integer(),
    v.minValue(1),
    v.maxValue(MAX_LEASE_SECONDS),
    v.description("Seconds after the deadline until which what the job brings is kept from eviction."),
  )),
  deadline_ms: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(1),
      v.maxValue(MAX_DEADLINE_MS),
      v.description("Milliseconds after which the job ends with what it has."),
    ),
    DEADLINE_MS,
  ),
});
const stateSchema = v.object({
  id: v.pipe(v.string(), v.description("The id of the job, and of its lease.")),
  state: v.pipe(
    v.picklist(["running", "done", "deadline", "stopped"]),
    v.description("stopped: the worker that ran it has ended, and the lease with it."),
  ),
  mode: v.picklist(["prefix", "full"]),
  prefix: v.pipe(v.number(), v.description("The number of leading keys that are a hit or loaded.")),
  counts: v.pipe(v.record(v.picklist(OUTCOMES), v.number()), v.description("The number of keys of each outcome.")),
  outcomes: v.pipe(
    v.array(v.nullable(v.picklist(OUTCOMES))),
    v.description("For each key, in their order; null: none yet."),
  ),
  lease: v.optional(v.object({
    id: v.pipe(v.string(), v.description("For DELETE /v1/leases/{id} and POST /v1/batch/get.")),
    expires: v.pipe(v.string(), v.description("The end of the lease.")),
  })),
});
const state = { "application/json": { schema: resolver(stateSchema) } };

const waitQuery = v.strictObject({
  wait: v.optional(v.pipe(
    v.string(),
    v.regex(/^\d{1,2}$/),
    v.transform(Number),
    v.maxValue(MAX_WAIT_SECONDS),
    v.description(`Seconds for which the answer waits for the end of the job, up to ${MAX_WAIT_SECONDS}.`),
  )),
});

/** Jobs that bring many objects into L1. */
export function prefetchRoutes(options: AppOptions): Hono<Env> {
  const { access, limits, storage, transferWatch } = options;
  const app = new Hono<Env>();
  app.post(
    "/v1/prefetch",
    describeRoute({
      summary: "Begin to bring many objects into L1",
      tags: ["batches"],
      requestBody: { required: true, content: { "application/json": { schema: resolver(prefetchSchema) } } },
      responses: {
        202: { description: "The job has begun; Location is its address", content: state },
        400: refusal("Bad body, such as too many keys or a bad key"),
        503: refusal("Too many jobs, or too many requests, are in progress"),
      },
    }),
    allow({ access, limits, scopes: ["read"] }),
    async (c) => {
      const exchange = c.get("exchange");
      const request = c.req.raw;
      const asked = await readJson(prefetchSchema, { exchange, request, transferWatch });
      const keys = asked.keys.map((key) => namedObject(exchange, request, key));
      const { mode, deadline_ms: deadlineMs, lease } = asked;
      const owner = ownerOf(exchange);
      const leaseMs = lease === undefined ? undefined : 1000 * lease;
      const id = storage.prefetch(keys, { mode, owner, deadlineMs, leaseMs });
      const begun = await storage.prefetchState({ id, owner }, 0);
      if (begun === undefined) throw notFound();
      const answer = replyJson(exchange, answerOf(id, begun), 202);
      answer.headers.set("location", `/v1/prefetch/${leaseId(id)}`);
      return answer;
    },
  );
  app.get(
    "/v1/prefetch/:id",
    describeRoute({
      summary: "Ask for the outcomes of a prefetch job",
      tags: ["batches"],
      responses: {
        200: { description: "The job as it is when it has ended, or the time to wait is over", content: state },
        400: refusal("A bad parameter"),
        404: refusal("No such job of this token, or it is forgotten"),
      },
    }),
    allow({ access, limits, scopes: ["read"] }),
    query(waitQuery),
    async (c) => {
      const exchange = c.get("exchange");
      const { wait = 0 } = c.req.valid("query");
      const id = idOf(c.req.param("id"));
      const found = await storage.prefetchState({ id, owner: ownerOf(exchange) }, 1000 * wait);
      if (found === undefined) throw notFound();
      return replyJson(exchange, answerOf(id, found));
    },
  );
  app.delete(
    "/v1/prefetch/:id",
    describeRoute({
      summary: "End a prefetch job, and release what it has leased",
      tags: ["batches"],
      responses: {
        204: { description: "Ended, released and forgotten" },
        404: refusal("No such job of this token, or it is forgotten"),
      },
    }),
    allow({ access, limits, scopes: ["read"] }),
    (c) => {
      const exchange = c.get("exchange");
      const job = { id: idOf(c.req.param("id")), owner: ownerOf(exchange) };
      if (!storage.cancelPrefetch(job, exchange.tenant)) throw notFound();
      return c.body(null, 204);
    },
  );
  return app;
}

/** A hash of the tenant and the token of a request: a job is told of to nobody else. */
function ownerOf({ tenant, grant }: Exchange): Name64 {
  const hash = createHash("sha256").update(`${tenant}\0${grant.tokenId}`).digest();
  return { high: hash.readInt32LE(0), low: hash.readInt32LE(4) };
}

/** Throws not_found if it is none. */
function idOf(text: string): Holder {
  const id = parseHolder(text);
  if (id === undefined) throw notFound();
  return id;
}

function notFound(): VitrineError {
  return new VitrineError("not_found", "find prefetch job: none with this id, or it is forgotten");
}

function answerOf(id: Holder, { state, mode, outcomes, leaseEndsMs }: PrefetchState): object {
  const counts = Object.fromEntries(OUTCOMES.map((each) => [each, 0]));
  for (const each of outcomes) if (isDecided(each)) counts[each] = (counts[each] ?? 0) + 1;
  const end = outcomes.findIndex((each) => each !== "hit" && each !== "loaded");
  const name = leaseId(id);
  return {
    id: name,
    state,
    mode,
    prefix: end === -1 ? outcomes.length : end,
    counts,
    outcomes: outcomes.map((each) => isDecided(each) ? each : null),
    ...(leaseEndsMs === undefined ? {} : { lease: { id: name, expires: new Date(leaseEndsMs).toISOString() } }),
  };
}

function isDecided(outcome: JobOutcome): outcome is (typeof OUTCOMES)[number] {
  return outcome !== "pending" && outcome !== "loading";
}
