import type { Ledger } from "../support/ledger.ts";
import { byTier, sumOf } from "./page_view.ts";

/** The ledger in the words of pageView. */
export function clientView(ledger: Ledger): Readonly<Record<string, unknown>> {
  const requests = ledger.requests.toObject();
  const lookups = ledger.lookups.toObject();
  const gets = sumOf(lookups, /^GET /);
  const all = gets + sumOf(lookups, /^HEAD /);
  const brokenDownloads = sumOf(ledger.aborted.toObject(), /^GET /);
  const puts = "^PUT /v1/objects/\\{key\\}";
  return {
    requests,
    aborted: sumOf(ledger.aborted.toObject(), /./),
    lookups: byTier(lookups),
    misses: ledger.misses.toObject(),
    lookupRequests: all,
    requestedTokens: all,
    l1Keys: sumOf(lookups, / l1 hit$/),
    l2Keys: sumOf(lookups, / fs hit$/),
    objectsRead: sumOf(lookups, /^GET .* hit$/) - brokenDownloads,
    reads: gets,
    readKeys: gets,
    writes: sumOf(requests, new RegExp(puts)),
    // A body is known to be wrong, or broken off, when it has been taken; a precondition fails before.
    writesWithRoom: sumOf(requests, new RegExp(`${puts} (?:20[01]|400)$`)),
    writesRefused: sumOf(requests, new RegExp(`${puts} 412$`)),
    writtenBytes: ledger.writtenBytes,
    objects: ledger.writes.get("new") - ledger.writes.get("deleted"),
    queued: 0,
    // The scrape itself.
    activeRequests: 1,
    dropped: 0,
    leasesExpired: 0,
    corrupt: 0,
  };
}
