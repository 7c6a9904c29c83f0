import type { Subscriber, Subscriptions } from "../../events/subscriber.ts";
import type { Instruments } from "./support/instruments.ts";

/** Counts payload bytes by the tier they come out of, and the bytes that writes bring. */
export class TrafficMetrics implements Subscriber {
  readonly name = "metrics.traffic";
  readonly subscriptions: Subscriptions;

  constructor(instruments: Instruments) {
    const read = instruments.counter("vitrine_read_bytes_total");
    const written = instruments.counter("vitrine_written_bytes_total");
    this.subscriptions = {
      "l1.read.finished": ({ bytes }) => read.add(bytes, { tier: "l1" }),
      "l2.load.completed": ({ tier, bytes }) => read.add(bytes, { tier }),
      "sm.write.finished": ({ outcome, bytes }) => {
        if (outcome === "stored") written.add(bytes);
      },
    };
  }
}
