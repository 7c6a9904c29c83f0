import type { Publish } from "../../core/events.ts";
import type { EventMap } from "../../events/catalogue.ts";

/** States how fast an object went to a tier or came from it, if it had bytes and took some time. */
export function publishRate(
  publish: Publish<EventMap>,
  { tier, direction, bytes, seconds }: {
    readonly tier: string;
    readonly direction: EventMap["l2.transferred"]["direction"];
    readonly bytes: number;
    readonly seconds: number;
  },
): void {
  if (bytes > 0 && seconds > 0) publish("l2.transferred", { tier, direction, rate: bytes / seconds / 1e9 });
}
