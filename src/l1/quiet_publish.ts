import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";

/** Drops exceptions of `publish`, which promises not to throw: a caller gets its lease even if publishing fails. */
export function quietPublish(publish: Publish<EventMap>): Publish<EventMap> {
  return (name, fields) => {
    try {
      publish(name, fields);
    } catch {
      // The published operation has already happened; later events are still published.
    }
  };
}
