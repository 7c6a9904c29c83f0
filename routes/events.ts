import { Hono } from "hono";
import { describeRoute, resolver } from "hono-openapi";
import * as v from "valibot";
import { type EventFormat, typesOf } from "../src/events/live/wanted_events.ts";
import { countedBody } from "./http/reply.ts";
import { refusal } from "./http/problem.ts";
import { allow } from "./http/access.ts";
import { query } from "./http/query.ts";
import type { AdminOptions } from "./app_options.ts";
import type { Exchange } from "./exchange.ts";
import type { Env } from "./env.ts";

const eventsQuery = v.strictObject({
  type: v.optional(
    v.pipe(
      v.string(),
      v.nonEmpty("type is empty"),
      v.description("Names of events, separated by commas or repeated; `*` stands for any characters."),
    ),
  ),
  tenant: v.optional(v.pipe(v.string(), v.description("Only events that carry this tenant."))),
  last_event_id: v.optional(
    v.pipe(
      v.string(),
      v.description("The id of the last record received: go on after it. As the header Last-Event-ID."),
    ),
  ),
});

const recordSchema = v.looseObject({
  id: v.pipe(v.string(), v.description("Its place, to come back to.")),
  name: v.pipe(v.string(), v.description("The event's name, or `lost`.")),
  time: v.optional(v.pipe(v.string(), v.isoTimestamp())),
  count: v.pipe(v.nullable(v.number()), v.description("How many events this stands for; null: nobody knows.")),
  folded: v.optional(v.pipe(v.boolean(), v.description("Whether several were added up: their details are shed."))),
});

const TYPES: Readonly<Record<EventFormat, string>> = { sse: "text/event-stream", ndjson: "application/x-ndjson" };

/** The events, as they happen. */
export function eventRoutes({ access, events }: AdminOptions): Hono<Env> {
  const app = new Hono<Env>();
  app.get(
    "/v1/events",
    describeRoute({
      summary: "The events as they happen, until the client goes away",
      tags: ["events"],
      parameters: [{
        in: "header",
        name: "Last-Event-ID",
        description: "The id of the last record received: go on after it.",
        schema: { type: "string" },
      }],
      responses: {
        200: {
          description: "Records, by Accept as Server-Sent Events or as lines of JSON; a heartbeat where there are none",
          content: {
            "application/x-ndjson": { schema: resolver(recordSchema) },
            "text/event-stream": { schema: resolver(recordSchema) },
          },
        },
        400: refusal("Bad query, such as a type that fits no event"),
        404: refusal("Observability is off"),
        503: refusal("As many as may listen do, or the server is shutting down"),
      },
    }),
    allow({ access, scopes: ["admin"] }),
    query(eventsQuery, { lists: ["type"] }),
    async (c) => {
      const { type, tenant, last_event_id } = c.req.valid("query");
      const wanted = {
        format: formatOf(c.req.header("accept") ?? ""),
        types: typesOf(type === undefined ? [] : type.split(",").map((glob) => glob.trim()), tenant),
        tenant,
        lastEventId: c.req.header("last-event-id") ?? last_event_id,
      };
      const headers = {
        "content-type": TYPES[wanted.format],
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        vary: "Accept",
        // nginx would hold the records back.
        "x-accel-buffering": "no",
      };
      return new Response(await bodyOf(c.get("exchange"), () => events(wanted)), { headers });
    },
  );
  return app;
}

/** Lines of JSON, unless Server-Sent Events are named and wanted no less. */
function formatOf(accept: string): EventFormat {
  const sse = qualityOf(accept, TYPES.sse) ?? 0;
  return sse > 0 && sse >= (qualityOf(accept, TYPES.ndjson) ?? 0) ? "sse" : "ndjson";
}

/** HEAD opens nothing. */
async function bodyOf(
  exchange: Exchange,
  open: () => ReturnType<AdminOptions["events"]>,
): Promise<ReadableStream<Uint8Array> | null> {
  return exchange.method === "HEAD" ? null : countedBody(exchange, await open());
}

/**
 * The weight that an `Accept` gives a media type, 0 (refused) to 1 (RFC 9110 12.5.1); undefined if it does not name it.
 * Ranges such as `*`/`*` name nothing.
 */
export function qualityOf(accept: string, mediaType: string): number | undefined {
  for (const element of accept.split(",")) {
    const [type = "", ...parameters] = element.split(";").map((part) => part.trim().toLowerCase());
    if (type !== mediaType) continue;
    const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2) ?? "1";
    return /^[01](?:\.[0-9]{0,3})?$/.test(weight) ? Math.min(1, Number(weight)) : 1;
  }
  return undefined;
}
