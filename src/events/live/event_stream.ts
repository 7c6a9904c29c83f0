import type { Schedule } from "../../core/clock.ts";
import type { LiveFeed } from "./live_feed.ts";
import type { EventFormat, LiveItem, LiveListener, OpenEvents } from "./live_listener.ts";

/** Settings of the streams of a feed. */
export interface EventStreamOptions {
  readonly schedule: Schedule;
  /** Maximum silence of a stream. */
  readonly heartbeatMs: number;
}

/** Maximum number of records in a chunk. */
const CHUNK_RECORDS = 64;

/** Opens byte streams over a feed. They are written on demand; cancelling one removes its listener. */
export function openEventsOf(feed: LiveFeed, options: EventStreamOptions): OpenEvents {
  return async ({ format, ...wanted }, signal) => {
    const listener = feed.listen(wanted);
    // The signal may outlive many streams.
    const leave = () => {
      signal?.removeEventListener("abort", leave);
      listener.leave();
    };
    signal?.addEventListener("abort", leave);
    const encoder = new TextEncoder();
    let started = false;
    let cancelled = false;
    return new ReadableStream({
      async pull(controller) {
        const text = started ? await nextText(feed, listener, { format, ...options }) : FRAMES[format].start;
        started = true;
        // Cancelled while waiting: there is nothing left to close.
        if (cancelled) return;
        if (text === undefined) controller.close();
        else controller.enqueue(encoder.encode(text));
      },
      cancel() {
        cancelled = true;
        leave();
      },
    }, { highWaterMark: 0 });
  };
}

/** The next records or a heartbeat; undefined at the end. */
async function nextText(
  feed: LiveFeed,
  listener: LiveListener,
  { format, schedule, heartbeatMs }: EventStreamOptions & { readonly format: EventFormat },
): Promise<string | undefined> {
  let endTimer = () => {};
  const silence = new Promise<void>((resolve) => endTimer = schedule(resolve, heartbeatMs));
  await Promise.race([listener.wait(), silence]);
  endTimer();
  if (listener.ended) return undefined;
  const items = listener.take(CHUNK_RECORDS);
  if (items.length === 0) return FRAMES[format].heartbeat;
  return items.map((item) => writeItem(item, { id: feed.idOf(item.sequence), format })).join("");
}

/** The beginning and the heartbeat of each format. */
const FRAMES: Readonly<Record<EventFormat, { readonly start: string; readonly heartbeat: string }>> = {
  sse: { start: "retry: 1000\n: vitrine events\n\n", heartbeat: ":\n\n" },
  ndjson: { start: "\n", heartbeat: "\n" },
};

/** The wire format of an item (docs/HTTP.md). */
function writeItem(
  item: LiveItem,
  { id, format }: { readonly id: string; readonly format: EventFormat },
): string {
  const name = "lost" in item ? "lost" : item.event.name;
  const json = JSON.stringify(bodyOf(id, item));
  return format === "ndjson" ? `${json}\n` : `id: ${id}\nevent: ${name}\ndata: ${json}\n\n`;
}

function bodyOf(id: string, item: LiveItem): object {
  if ("lost" in item) return { id, name: "lost", count: item.lost ?? null };
  const { name, timeMs, count, folded, ...fields } = item.event;
  return { id, name, time: new Date(timeMs).toISOString(), count, folded, ...fields };
}
