/**
 * A server as src/main.ts starts it, but among the subscribers of its bus are one that throws at every event and one
 * that is slow.
 */
import { EventBus } from "../../../src/events/bus.ts";
import type { Subscriber } from "../../../src/events/subscriber.ts";
import { serve } from "./serve.ts";

/** How long the slow one keeps the collector's thread at each event. */
const HELD_MS = 0.5;

const throwing: Subscriber = {
  name: "test.throws",
  individual: ["lookup.finished"],
  subscriptions: {
    "lookup.finished": () => {
      throw new Error("a subscriber that throws");
    },
    "http.request.end": () => {
      throw new Error("a subscriber that throws");
    },
  },
};

const slow: Subscriber = {
  name: "test.slow",
  individual: ["http.request.end"],
  subscriptions: {
    "http.request.end": () => {
      const start = performance.now();
      while (performance.now() - start < HELD_MS);
    },
  },
};

// The composition has no place for strangers: they come in with the last of its own subscribers, before the bus begins.
const begin = Reflect.get(EventBus.prototype, "begin");
EventBus.prototype.begin = function () {
  for (const subscriber of [throwing, slow]) this.subscribe(subscriber);
  begin.call(this);
};

await serve();
