import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { StorageContext } from "../context.ts";
import { LOAD_TAG } from "./load_tag.ts";

/** What L1 has of a key, or is just being given by a load of any thread: metadata and place; undefined if neither. */
export function peek(
  context: StorageContext,
  key: ObjectKey,
): { readonly meta: ObjectMeta; readonly tier: string } | undefined {
  const { l1, tiers, shared } = context;
  const resident = l1.peek(key);
  if (resident !== undefined) return { meta: resident, tier: "l1" };
  const loading = l1.follow(key, LOAD_TAG);
  if (loading === undefined) return undefined;
  l1.finishRead([loading.lease]);
  return { meta: loading.meta, tier: tiers[shared.stripes.loadTier(shared.stripes.of(key))]?.name ?? "" };
}
