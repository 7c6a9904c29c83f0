import type { Collector } from "./collector.ts";
import type { Transport } from "./transport.ts";

/** The transport for a producer on the collector's own thread: a direct call. */
export function inProcess(collector: Collector): Transport {
  return {
    send: (batch) => collector.receive(batch),
    flush: () => Promise.resolve(),
    onInterest: (listener) => collector.onInterest(listener),
  };
}
