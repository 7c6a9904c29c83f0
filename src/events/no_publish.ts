import type { Publish } from "../core/events.ts";
import type { EventMap } from "./catalogue.ts";

/** The publish of a server without observability. */
export const noPublish: Publish<EventMap> = () => {};
