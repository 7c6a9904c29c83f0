import type { Account } from "./ledger/account.ts";
import { arrivalOf } from "./arrival.ts";
import type { Collector } from "./collector.ts";
import type { Transport } from "./transport.ts";

/** The transport for a producer on the collector's own thread: a direct call. */
export function inProcess(collector: Collector, account: Account): Transport {
  return {
    room: () => Infinity,
    send: (batch) => {
      const arrival = arrivalOf(batch);
      account.enter(arrival);
      for (const event of arrival.singles) collector.dispatch(event);
      for (const group of arrival.groups) collector.dispatch(group);
    },
    flush: () => Promise.resolve(),
    oldestMs: () => undefined,
    onProgress: () => {},
    onInterest: (listener) => collector.onInterest(listener),
  };
}
