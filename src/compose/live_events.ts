import type { Config } from "../config.ts";
import { VitrineError } from "../core/errors.ts";
import { openEventsOf } from "../events/live/event_stream.ts";
import { LiveFeed, type LiveSource } from "../events/live/live_feed.ts";
import type { OpenEvents } from "../events/live/wanted_events.ts";
import { unrefTimer } from "../events/timer.ts";

/** The longest silence of a stream, in milliseconds. */
const HEARTBEAT_MS = 15_000;

/** The live events of one server. */
export interface LiveEvents {
  readonly open: OpenEvents;
  /** Streams that are open. */
  streams(): number;
  /** Ends every stream; no other is opened from then on. */
  close(): void;
}

/** Live events off a bus; without observability there are none to open. */
export function liveEvents(config: Config, source: LiveSource | undefined): LiveEvents {
  if (source === undefined) {
    return {
      open: () => Promise.reject(new VitrineError("not_found", "open event stream: observability is off")),
      streams: () => 0,
      close() {},
    };
  }
  const feed = new LiveFeed({
    source,
    schedule: unrefTimer,
    nonce: crypto.randomUUID().replaceAll("-", "").slice(0, 12),
  });
  return {
    // More than twice in the time after which a silent connection is closed.
    open: openEventsOf(feed, {
      schedule: unrefTimer,
      heartbeatMs: Math.min(HEARTBEAT_MS, 0.4 * config.idleTimeoutMs),
    }),
    streams: () => feed.listeners,
    close: () => feed.close(),
  };
}
