import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";

/**
 * Drops what `publish` throws, which it promises not to do: a caller gets its lease even if nobody could be told of it.
 */
export function quietPublish(publish: Publish<EventMap>): Publish<EventMap> {
  return (name, fields) => {
    try {
      publish(name, fields);
    } catch {
      // The call that is told of has happened; the next event gets its turn.
    }
  };
}
