import { VitrineError } from "../../core/errors.ts";
import { catalogue, type EventName } from "../catalogue.ts";
import { eventNames } from "../schema.ts";

/** How records are written: Server-Sent Events, or a line of JSON each. */
export type EventFormat = "sse" | "ndjson";

/** What somebody wants to see of the events; plain data, so that one thread can ask another. */
export interface WantedEvents {
  readonly format: EventFormat;
  readonly types: readonly EventName[];
  /** Only events that carry this tenant; undefined: whatever they carry. */
  readonly tenant: string | undefined;
  /** The id of the last record that was received; undefined: from now on. */
  readonly lastEventId: string | undefined;
}

/** Opens a live stream of what is wanted. Throws VitrineError: not_found where there are no events, too_many_listeners, shutting_down. */
export type OpenEvents = (
  wanted: WantedEvents,
  /** Ends the stream. */
  signal?: AbortSignal,
) => Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;

/**
 * The event types that some of the globs name (`*` stands for any characters), every type if there is no glob; with a tenant, those of them that
 * carry one. Throws VitrineError (bad_request) that names a glob which fits no event of the catalogue.
 */
export function typesOf(globs: readonly string[], tenant?: string): readonly EventName[] {
  const patterns = globs.map((glob) => ({ glob, pattern: patternOf(glob) }));
  const idle = patterns.find(({ pattern }) => !eventNames.some((name) => pattern.test(name)));
  if (idle !== undefined) throw new VitrineError("bad_request", `parse query: type: no such event: ${idle.glob}`);
  const named = eventNames.filter((name) => globs.length === 0 || patterns.some(({ pattern }) => pattern.test(name)));
  const types = tenant === undefined ? named : named.filter((name) => "tenant" in catalogue[name].fields);
  if (types.length === 0) {
    throw new VitrineError("bad_request", `parse query: tenant: no event carries one: ${globs.join(",")}`);
  }
  return types;
}

function patternOf(glob: string): RegExp {
  return new RegExp(`^${glob.split("*").map((part) => part.replaceAll(/[^\w]/g, "\\$&")).join(".*")}$`);
}
