import { Hono } from "hono";
import { describeRoute, resolver } from "hono-openapi";
import * as v from "valibot";
import type { AdminOptions } from "./app_options.ts";
import type { Env, Exchange } from "./exchange.ts";
import { allow } from "./http/access.ts";
import { query } from "./http/query.ts";
import { countedBody, refusal } from "./http/reply.ts";
import { type EventFormat, typesOf } from "../src/events/live/live_listener.ts";
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
      v.description("As the header Last-Event-ID."),
    ),
  ),
});

const recordSchema = v.looseObject({
  id: v.pipe(v.string(), v.description("Position in the stream, for Last-Event-ID.")),
  name: v.pipe(v.string(), v.description("The event's name, or `lost`.")),
  time: v.optional(v.pipe(v.string(), v.isoTimestamp())),
  count: v.pipe(v.nullable(v.number()), v.description("The number of events in this record; null if it is not known.")),
  folded: v.optional(
    v.pipe(v.boolean(), v.description("True if the record is an aggregate of several events, without their details.")),
  ),
});

const TYPES: Readonly<Record<EventFormat, string>> = { sse: "text/event-stream", ndjson: "application/x-ndjson" };

/** The events, as they happen. */
export function eventRoutes({ access, events }: AdminOptions): Hono<Env> {
  const app = new Hono<Env>();
  app.get(
    "/v1/events",
    describeRoute({
      summary: "The events as they happen, until the client disconnects",
      tags: ["events"],
      parameters: [{
        in: "header",
        name: "Last-Event-ID",
        description: "The id of the last record received: the stream continues after it.",
        schema: { type: "string" },
      }],
      responses: {
        200: {
          description:
            "Records as Server-Sent Events or as lines of JSON, chosen by Accept, with heartbeats between them",
          content: {
            "application/x-ndjson": { schema: resolver(recordSchema) },
            "text/event-stream": { schema: resolver(recordSchema) },
          },
        },
        400: refusal("Bad query, such as a type that matches no event"),
        404: refusal("Observability is off"),
        503: refusal("Too many streams are open, or the server is shutting down"),
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
        // Without it, nginx would buffer the records.
        "x-accel-buffering": "no",
      };
      return new Response(await bodyOf(c.get("exchange"), () => events(wanted)), { headers });
    },
  );
  return app;
}

/** Lines of JSON, unless Accept names Server-Sent Events with at least the same weight. */
function formatOf(accept: string): EventFormat {
  const sse = qualityOf(accept, TYPES.sse) ?? 0;
  return sse > 0 && sse >= (qualityOf(accept, TYPES.ndjson) ?? 0) ? "sse" : "ndjson";
}

/** Opens the stream, but not for HEAD. */
async function bodyOf(
  exchange: Exchange,
  open: () => ReturnType<AdminOptions["events"]>,
): Promise<ReadableStream<Uint8Array> | null> {
  return exchange.method === "HEAD" ? null : countedBody(exchange, await open());
}

/**
 * The weight of a media type in an `Accept`, from 0 (refused) to 1 (RFC 9110 12.5.1); undefined if the type is not
 * named. Ranges such as `*`/`*` name no type.
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
