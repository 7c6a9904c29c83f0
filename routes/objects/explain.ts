import * as v from "valibot";
import { MISS_REASONS } from "../../src/core/events.ts";
import type { ObjectKey } from "../../src/core/object.ts";
import type { Explanation, Storage } from "../../src/storage/storage.ts";
import type { Exchange } from "../exchange.ts";
import { parseObjectKey } from "../http/access.ts";
import { parseQuery } from "../http/query.ts";
import { replyJson } from "../http/reply.ts";
import { queryOf } from "../http/target.ts";

const described = <Schema extends v.GenericSchema>(schema: Schema, text: string) =>
  v.pipe(schema, v.metadata({ description: text }));

const resultSchema = v.picklist(["hit", "miss", "error"]);
const reason = v.picklist(MISS_REASONS);
const removedAt = described(
  v.pipe(v.string(), v.isoTimestamp()),
  "The time at which the copy was lost, if it is remembered.",
);

const explanationSchema = v.object({
  key: v.string(),
  tenant: v.string(),
  result: described(resultSchema, "The result of a GET now."),
  tier: v.optional(described(v.string(), "Of a hit: l1, or the name of an L2 adapter.")),
  reason: v.optional(
    described(
      reason,
      "Unless it is a hit: how the last copy was lost; never_stored: there was none since the server started; tier_failed: a tier could not answer.",
    ),
  ),
  tried: described(
    v.array(v.object({
      tier: v.string(),
      result: described(
        v.picklist([...resultSchema.options, "skipped"]),
        "skipped: the tier's copy is known to be outdated and is not read.",
      ),
      reason: v.optional(v.picklist([...reason.options, "outdated"])),
      removed_at: v.optional(removedAt),
      error: v.optional(described(v.string(), "The tier's error message.")),
      seconds: v.number(),
    })),
    "The tiers in the order in which they are asked, up to the one that answers.",
  ),
});

// Other parameters are ignored.
const explainQuery = v.object({ explain: v.literal("1", "explain is not 1") });

/** The parameter and its answer in the specification. */
export const explainSpec = {
  parameter: {
    in: "query" as const,
    name: "explain",
    description: "1: answer with the tiers that would be asked and the reason of a miss, in place of the object.",
    schema: { type: "string" as const, enum: ["1"] },
  },
  answer: explanationSchema,
};

/**
 * Answers `explain=1` with the result that a GET would have, with status 200 for a miss too; undefined if the query has
 * no `explain`. Throws bad_request for another value.
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
