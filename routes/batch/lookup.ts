import { Hono } from "hono";
import { describeRoute, resolver } from "hono-openapi";
import * as v from "valibot";
import { VitrineError } from "../../src/core/errors.ts";
import type { AppOptions } from "../app_options.ts";
import type { Env } from "../exchange.ts";
import { allow, namedObject } from "../http/access.ts";
import { refusal, replyText } from "../http/reply.ts";
import { keyList, readJson } from "./body.ts";
import { leaseId, MAX_LEASE_SECONDS, newHolder } from "./leases.ts";

const MAX_TOKENS_PER_KEY = 1_000_000;

const lookupSchema = v.strictObject({
  keys: keyList(),
  tokens_per_key: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(1),
      v.maxValue(MAX_TOKENS_PER_KEY),
      v.description("Tokens that a key stands for, in the metrics."),
    ),
    1,
  ),
  all_tiers: v.optional(
    v.pipe(v.boolean(), v.description("Ask the tiers about all keys, not only about those that no tier before has.")),
    false,
  ),
  lease: v.optional(v.pipe(
    v.number(),
    v.integer(),
    v.minValue(1),
    v.maxValue(MAX_LEASE_SECONDS),
    v.description("Seconds for which what L1 has is kept from eviction."),
  )),
  load: v.optional(
    v.pipe(v.boolean(), v.description("With a lease: load what only another tier has into L1 first.")),
    false,
  ),
});
const answerSchema = v.object({
  prefix: v.pipe(
    v.record(v.string(), v.number()),
    v.description("For each tier, the number of leading keys that it or a tier before it has."),
  ),
  held: v.pipe(
    v.array(v.array(v.string())),
    v.description("For each key, in their order, the tiers that have it, in the order in which a read asks them."),
  ),
  failed: v.optional(v.pipe(
    v.record(v.string(), v.string()),
    v.description("The tiers that could not answer about all keys, with their error."),
  )),
  lease: v.optional(v.object({
    id: v.pipe(v.string(), v.description("For DELETE /v1/leases/{id}.")),
    expires: v.pipe(v.string(), v.description("The end of the lease.")),
    refused: v.pipe(
      v.array(v.number()),
      v.description("Indexes of keys that are not leased. All others that l1 has are leased."),
    ),
  })),
});

/** Which tiers have many keys. */
export function lookupRoutes(options: AppOptions): Hono<Env> {
  const { access, clock, limits, storage, transferWatch } = options;
  return new Hono<Env>().post(
    "/v1/lookup",
    describeRoute({
      summary: "Ask which tiers have many keys, and how many of the first ones",
      tags: ["batches"],
      requestBody: { required: true, content: { "application/json": { schema: resolver(lookupSchema) } } },
      responses: {
        200: {
          description: "The tiers of each key, and the longest prefix by tier",
          content: { "application/json": { schema: resolver(answerSchema) } },
        },
        400: refusal("Bad body, such as too many keys, a bad key, or load without a lease"),
        503: refusal("Too many requests are in progress"),
      },
    }),
    allow({ access, limits, scopes: ["read"] }),
    async (c) => {
      const exchange = c.get("exchange");
      const request = c.req.raw;
      const asked = await readJson(lookupSchema, { exchange, request, transferWatch });
      const keys = asked.keys.map((key) => namedObject(exchange, request, key));
      const { lease: seconds, load: loads } = asked;
      if (loads && seconds === undefined) throw new VitrineError("bad_request", "parse body: load: without lease");
      const holder = newHolder();
      const expiresMs = clock.nowMs() + 1000 * (seconds ?? 0);
      const untilMs = clock.monotonicMs() + 1000 * (seconds ?? 0);
      const leasing = seconds === undefined ? undefined : { holder, untilMs, loads };
      const { all_tiers: allTiers, tokens_per_key: tokensPerKey } = asked;
      const { levels, prefixes, failed, refused } = await storage.lookup(keys, { allTiers, tokensPerKey, leasing });
      const { tiers } = storage;
      const more = {
        ...(failed.size === 0 ? {} : { failed: Object.fromEntries(failed) }),
        ...(leasing === undefined
          ? {}
          : { lease: { id: leaseId(holder), expires: new Date(expiresMs).toISOString(), refused } }),
      };
      const prefix = Object.fromEntries(tiers.map((tier, level) => [tier, prefixes[level] ?? 0]));
      const rest = Object.entries(more).map(([name, value]) => `,"${name}":${JSON.stringify(value)}`).join("");
      const text = `{"prefix":${JSON.stringify(prefix)},"held":[${tiersOfKeys(levels, tiers)}]${rest}}`;
      return replyText(exchange, text, { type: "application/json" });
    },
  );
}

/** The names of each key's tiers, as JSON without the outer brackets. */
function tiersOfKeys(levels: Uint32Array, tiers: readonly string[]): string {
  const texts = new Map<number, string>();
  const parts: string[] = [];
  for (const bits of levels) {
    let text = texts.get(bits);
    if (text === undefined) {
      text = JSON.stringify(tiers.filter((_tier, level) => (bits & 1 << level) !== 0));
      texts.set(bits, text);
    }
    parts.push(text);
  }
  return parts.join(",");
}
