import * as v from "valibot";
import type { ObjectKey } from "../../src/core/key.ts";
import { MISS_REASONS } from "../../src/core/miss_reason.ts";
import type { Explanation, Storage } from "../../src/storage/types.ts";
import type { Exchange } from "../exchange.ts";
import { parseObjectKey } from "../http/object_key.ts";
import { parseQuery } from "../http/query.ts";
import { replyJson } from "../http/reply.ts";
import { queryOf } from "../http/target.ts";

const described = <Schema extends v.GenericSchema>(schema: Schema, text: string) =>
  v.pipe(schema, v.metadata({ description: text }));

const resultSchema = v.picklist(["hit", "miss", "error"]);
const reason = v.picklist([...MISS_REASONS, "tier_failed"]);
const removedAt = described(v.pipe(v.string(), v.isoTimestamp()), "When the copy was lost, if that is remembered.");

const explanationSchema = v.object({
  key: v.string(),
  tenant: v.string(),
  result: described(resultSchema, "What a GET would find now."),
  tier: v.optional(described(v.string(), "Where, if it is a hit: l1, or an L2 adapter's name.")),
  reason: v.optional(
    described(
      reason,
      "Why, unless it is a hit: how the last copy was lost; never_stored: not since the server started.",
    ),
  ),
  tried: described(
    v.array(v.object({
      tier: v.string(),
      result: described(
        v.picklist([...resultSchema.options, "skipped"]),
        "skipped: what it has is known to be outdated, so that it is not read.",
      ),
      reason: v.optional(v.picklist([...reason.options, "outdated"])),
      removed_at: v.optional(removedAt),
      error: v.optional(described(v.string(), "What the tier said of its failure.")),
      seconds: v.number(),
    })),
    "The levels in the order in which they are asked, up to the one that answers.",
  ),
});

// Other parameters mean nothing to an object: they are ignored.
const explainQuery = v.object({ explain: v.literal("1", "explain is not 1") });

/** The parameter and its answer in the specification. */
export const explainSpec = {
  parameter: {
    in: "query" as const,
    name: "explain",
    description: "1: say what would be tried, and why it hits or misses, in place of the object.",
    schema: { type: "string" as const, enum: ["1"] },
  },
  answer: explanationSchema,
};

/**
 * Answers `explain=1` with what a GET of the key would find, with 200 also where that is a miss; undefined if the query
 * has no `explain`. Throws bad_request if its value is another.
 */
export function explainObject(
  storage: Storage,
  exchange: Exchange,
  request: Request,
): Promise<Response> | undefined {
  if (!queryOf(request.url).has("explain")) return undefined;
  const key = parseObjectKey(exchange, request);
  parseQuery(explainQuery, request);
  return storage.explain(key).then((explanation) => replyJson(exchange, explanationOf(key, explanation)));
}

function explanationOf(
  { key, tenant }: ObjectKey,
  { tried, ...verdict }: Explanation,
): v.InferInput<typeof explanationSchema> {
  return {
    key,
    tenant,
    ...verdict,
    tried: tried.map(({ removedMs, seconds, ...each }) => ({
      ...each,
      seconds: Math.round(seconds * 1e6) / 1e6,
      ...(removedMs === undefined ? {} : { removed_at: new Date(removedMs).toISOString() }),
    })),
  };
}
