import { VitrineError } from "../../core/errors.ts";
import type { EventName } from "../catalogue.ts";
import { catalogue, eventNames } from "../catalogue.ts";
import type { Delivered } from "../subscriber.ts";

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

/** Settings of a listener. */
export interface LiveListenerOptions {
  readonly wanted: Pick<WantedEvents, "types" | "tenant">;
  /** Maximum number of queued records; past that the oldest is lost. */
  readonly queueLimit: number;
  /** Items that it gets first. */
  readonly backlog: readonly LiveItem[];
  /** Called once when it leaves by itself. */
  readonly onLeave: () => void;
}

/** A listener of a feed: a bounded queue that the feed fills and the listener empties at its own pace. */
export class LiveListener {
  readonly types: ReadonlySet<EventName>;
  readonly #options: LiveListenerOptions;
  #backlog: LiveItem[];
  #queue: LiveRecord[] = [];
  /** Records lost between the backlog and the start of the queue. */
  #loss: LiveLoss | undefined;
  #ended = false;
  #wake = () => {};

  constructor(options: LiveListenerOptions) {
    this.#options = options;
    this.types = new Set(options.wanted.types);
    this.#backlog = options.backlog.filter((item) => "lost" in item || this.#wants(item));
  }

  /** True if no more items will come. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Queues a record of the feed, if the listener wants it. */
  offer(record: LiveRecord): void {
    if (this.#ended || !this.#wants(record)) return;
    this.#queue.push(record);
    if (this.#queue.length > this.#options.queueLimit) this.#lose();
    this.#wake();
  }

  /** Takes the next items; empty if none are queued. */
  take(most: number): readonly LiveItem[] {
    if (this.#backlog.length > 0) return this.#backlog.splice(0, most);
    if (this.#loss === undefined) return this.#queue.splice(0, most);
    const loss = this.#loss;
    this.#loss = undefined;
    return [loss, ...this.#queue.splice(0, most - 1)];
  }

  /** Resolves when an item is queued or no more will come. */
  async wait(): Promise<void> {
    if (this.#ended || this.#backlog.length + this.#queue.length > 0) return;
    await new Promise<void>((resolve) => this.#wake = resolve);
  }

  /** Leaves the feed. */
  leave(): void {
    if (this.#ended) return;
    this.end();
    this.#options.onLeave();
  }

  /** Ends the listener and drops its queue. */
  end(): void {
    this.#ended = true;
    this.#backlog = [];
    this.#queue = [];
    this.#loss = undefined;
    this.#wake();
  }

  #wants({ event }: LiveRecord): boolean {
    const { tenant } = this.#options.wanted;
    return this.types.has(event.name) && (tenant === undefined || ("tenant" in event && event.tenant === tenant));
  }

  #lose(): void {
    const oldest = this.#queue.shift();
    if (oldest === undefined) return;
    this.#loss = { sequence: oldest.sequence, lost: (this.#loss?.lost ?? 0) + oldest.event.count };
  }
}

/** An event or aggregate, with its sequence number in the feed, from 1. */
export interface LiveRecord {
  readonly sequence: number;
  readonly event: Delivered<EventName>;
}

/** Events that a listener lost, up to `sequence`. */
export interface LiveLoss {
  readonly sequence: number;
  /** The number of lost events that it wanted; undefined if unknown. */
  readonly lost: number | undefined;
}

/** An item for a listener. */
export type LiveItem = LiveRecord | LiveLoss;
