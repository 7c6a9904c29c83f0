import { batchCases } from "./cases/batches.ts";
import { conditionCases } from "./cases/conditions.ts";
import { digestCases } from "./cases/digests.ts";
import { eventCases } from "./cases/events.ts";
import { explainCases } from "./cases/explain.ts";
import { keyCases } from "./cases/keys.ts";
import { lifetimeCases } from "./cases/lifetimes.ts";
import { listingCases } from "./cases/listing.ts";
import { lookupCases } from "./cases/lookup.ts";
import { metadataCases } from "./cases/metadata.ts";
import { pageCases } from "./cases/page.ts";
import { prefetchCases } from "./cases/prefetch.ts";
import { rangeCases } from "./cases/ranges.ts";
import { readCases } from "./cases/reads.ts";
import { cacheControlTable } from "./cases/rfc/cache_control.ts";
import { conditionTable } from "./cases/rfc/conditions.ts";
import { rangeTable } from "./cases/rfc/ranges.ts";
import { representationTable } from "./cases/rfc/representation.ts";
import { serviceCases } from "./cases/service.ts";
import { writeCases } from "./cases/writes.ts";
import { type ContractCase, ContractClient, type ContractFixture } from "./contract_client.ts";

/** Everything the HTTP interface promises, whatever runtime and storage are behind it. */
export const contract: readonly ContractCase[] = [
  ...writeCases,
  ...readCases,
  ...explainCases,
  ...rangeCases,
  ...conditionCases,
  ...digestCases,
  ...conditionTable,
  ...rangeTable,
  ...cacheControlTable,
  ...representationTable,
  ...lifetimeCases,
  ...metadataCases,
  ...keyCases,
  ...listingCases,
  ...batchCases,
  ...lookupCases,
  ...prefetchCases,
  ...serviceCases,
  ...eventCases,
  ...pageCases,
];

/** The cases a fixture can run, each bound to a tenant of its own. */
export function contractFor(
  fixture: ContractFixture,
): readonly { readonly name: string; readonly run: () => Promise<void> }[] {
  return contract
    .filter(({ needs = [] }) => needs.every((need) => fixture[need] !== undefined))
    .map(({ name, run }, i) => ({ name, run: () => run(new ContractClient(fixture, `tenant-${i}`)) }));
}
