/** Calls of a tier that one request has under way at a time. */
const AT_A_TIME = 32;

/** Calls `work` for each item, some at a time; the results are in the order of the items. */
export async function inBatches<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (let at = 0; at < items.length; at += AT_A_TIME) {
    results.push(...await Promise.all(items.slice(at, at + AT_A_TIME).map(work)));
  }
  return results;
}
