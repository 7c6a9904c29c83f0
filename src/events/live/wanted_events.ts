import { VitrineError } from "../../core/errors.ts";
import { catalogue, type EventName, eventNames } from "../catalogue.ts";
/** Several times the size of the catalogue, and of its longest name. */
const MAX_GLOBS = 256;
const MAX_GLOB_CHARACTERS = 128;

/** The format of records: Server-Sent Events, or one line of JSON each. */
export type EventFormat = "sse" | "ndjson";

/** The events that a client asks for; plain data that can be passed between threads. */
export interface WantedEvents {
  readonly format: EventFormat;
  readonly types: readonly EventName[];
  /** Only events of this tenant; undefined: all events. */
  readonly tenant: string | undefined;
  /** The id of the last record that the client received; undefined: only new events. */
  readonly lastEventId: string | undefined;
}

/**
 * Opens a live stream of events. Throws VitrineError: not_found where there are no events, too_many_listeners,
 * shutting_down.
 */
export type OpenEvents = (
  wanted: WantedEvents,
  /** Ends the stream. */
  signal?: AbortSignal,
) => Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;

/**
 * The event types that some of the globs name (`*` stands for any characters), every type if there is no glob; with a
 * tenant, those of them that carry one. Throws VitrineError (bad_request) that names a glob which fits no event of the
 * catalogue, and for more than 256 globs or one of more than 128 characters.
 */
export function typesOf(globs: readonly string[], tenant?: string): readonly EventName[] {
  if (globs.length > MAX_GLOBS) throw new VitrineError("bad_request", `parse query: type: more than ${MAX_GLOBS}`);
  const long = globs.find((glob) => glob.length > MAX_GLOB_CHARACTERS);
  if (long !== undefined) {
    throw new VitrineError("bad_request", `parse query: type: longer than ${MAX_GLOB_CHARACTERS} characters`);
  }
  const idle = globs.find((glob) => !eventNames.some((name) => globMatches(glob, name)));
  if (idle !== undefined) throw new VitrineError("bad_request", `parse query: type: no such event: ${idle}`);
  const named = eventNames.filter((name) => globs.length === 0 || globs.some((glob) => globMatches(glob, name)));
  const types = tenant === undefined ? named : named.filter((name) => "tenant" in catalogue[name].fields);
  if (types.length === 0) {
    throw new VitrineError("bad_request", `parse query: tenant: no event carries one: ${globs.join(",")}`);
  }
  return types;
}

/**
 * True if a glob, in which `*` stands for any characters, matches all of `text`. The first place where a part fits is
 * as good as any later one, so nothing is tried twice: the cost is the length of the two multiplied at worst, and no
 * expression is made of what a client sends.
 */
export function globMatches(glob: string, text: string): boolean {
  const [head = "", ...rest] = glob.split("*");
  const tail = rest.pop();
  if (tail === undefined) return text === head;
  if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
  let at = head.length;
  const end = text.length - tail.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
