import type { ObjectKey } from "../../core/key.ts";
import type { StorageContext } from "../context.ts";
import type { ObjectRead } from "../storage.ts";
import { BypassRead } from "./bypass_read.ts";
import { type Filling, MemoryRead } from "./memory_read.ts";
import type { ObjectMeta } from "../../core/object.ts";

/**
 * A read of an object that another thread is loading, with bytes as they arrive; undefined if no thread is loading the
 * key's current object. If that thread dies before any byte was handed out, the tiers are asked for the same version;
 * after that the read fails.
 */
export function followLoad(context: StorageContext, key: ObjectKey): ObjectRead | undefined {
  const { l1, tiers, shared, poller } = context;
  const following = l1.follow(key, LOAD_TAG);
  if (following === undefined) return undefined;
  const { meta } = following;
  const loader = shared.stripes.loadTier(shared.stripes.of(key));
  const tier = tiers[loader]?.name ?? "";
  const readableBytes = (): number | undefined => {
    const state = following.state();
    if (state === "failed") return undefined;
    return state === "done" ? meta.sizeBytes : following.filledBytes();
  };
  const filling: Filling = {
    readableBytes,
    changed: (beyond) => poller.until(() => (readableBytes() ?? Infinity) > beyond),
  };
  const instead = (start: number, end: number): AsyncGenerator<Uint8Array, void, void> =>
    new BypassRead(context, { key, meta, tiers: tiers.slice(loader), tier }).chunks(start, end);
  return new MemoryRead(context, { key, resident: following, tier, filling, instead });
}

/** The tag under which loads stage in L1: one load per key over all threads. */
export const LOAD_TAG = "load";

/** Metadata and tier of a key that is in L1, or is being loaded into it by any thread; undefined if neither. */
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
