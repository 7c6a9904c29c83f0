import type { LiveItem } from "./live_item.ts";
import type { EventFormat } from "./wanted_events.ts";

/** How a format begins, and what it says when there is nothing to say. */
export const FRAMES: Readonly<Record<EventFormat, { readonly start: string; readonly heartbeat: string }>> = {
  sse: { start: "retry: 1000\n: vitrine events\n\n", heartbeat: ":\n\n" },
  ndjson: { start: "\n", heartbeat: "\n" },
};

/** One item as it goes over the wire, under its id: docs/HTTP.md has the shape. */
export function writeItem(
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
