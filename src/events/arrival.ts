import { deliver } from "./delivered.ts";
import type { Arrival, Batch } from "./transport.ts";

/** What the collector makes of a batch that did not have to be packed. */
export function arrivalOf({ singles, groups, counts }: Batch): Arrival {
  return {
    singles: singles.map(({ name, timeMs, fields }) => deliver({ name, timeMs, count: 1, folded: false }, fields)),
    groups,
    counts,
  };
}
