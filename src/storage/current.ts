import { VitrineError } from "../core/errors.ts";
import { holds, isExpired, type ObjectKey, type ObjectMeta, type Precondition } from "../core/object.ts";
import type { Known, WriteCommit } from "../l1/l1.ts";
import type { Replaced } from "../l2/adapter.ts";
import type { NewObject } from "./changes/tier_changes.ts";
import type { StorageContext } from "./context.ts";
import { askTiers } from "./tiers/tier_reader.ts";

/**
 * The current object of a key. Call it under the key's lock or a snapshot. Throws a tier's failure only if `mustKnow`.
 */
export async function currentOf(
  context: StorageContext,
  key: ObjectKey,
  { mustKnow }: { readonly mustKnow: boolean },
): Promise<ObjectMeta | undefined> {
  const { l1, tiers, shared } = context;
  const known = l1.know(key);
  if (known !== undefined || shared.isNew(key)) return known?.meta;
  let found: ObjectMeta | undefined;
  try {
    found = (await askTiers(tiers, (tier) => tier.lookup(key)))?.answer;
  } catch (error) {
    if (mustKnow) throw error;
  }
  return nowOf(context, l1.know(key), found);
}

/**
 * The current object of a key, from L1's knowledge at this moment or, if L1 has none, from the tiers' object of a
 * moment ago.
 */
export function nowOf(
  { clock }: Pick<StorageContext, "clock">,
  known: Known | undefined,
  inTiers: ObjectMeta | undefined,
): ObjectMeta | undefined {
  if (known !== undefined) return known.meta;
  return inTiers !== undefined && isExpired(inTiers, clock.nowMs()) ? undefined : inTiers;
}

/** True if a key's object expired before it was stored: the key is a miss, and the tiers' object is even older. */
export function isOutdating(known: Known | undefined): boolean {
  return known !== undefined && known.meta === undefined;
}

/** The metadata of an object that is about to be admitted. */
export function newMeta({ clock, shared }: Pick<StorageContext, "clock" | "shared">, object: NewObject): ObjectMeta {
  const { sizeBytes, crc32, contentType, sha256, ttlSeconds, headers, origin } = object;
  const createdMs = origin?.createdMs ?? Math.floor(clock.nowMs());
  const meta = {
    sizeBytes,
    crc32,
    contentType,
    sha256,
    version: origin?.version ?? shared.versions.next(createdMs),
    createdMs,
    expiresMs: origin?.expiresMs ?? (ttlSeconds === 0 ? 0 : createdMs + ttlSeconds * 1000),
  };
  return headers === undefined ? meta : { ...meta, headers };
}

/** The L1 commit of an object. */
export function commitOf(lease: WriteCommit["lease"], meta: ObjectMeta): WriteCommit {
  const { sizeBytes, crc32, version, createdMs, expiresMs, headers } = meta;
  return { lease, sizeBytes, crc32, version, createdMs, expiresMs, headers };
}

/** Throws precondition_failed unless the precondition holds for the current object. */
export function assertHolds(precondition: Precondition | undefined, current: ObjectMeta | undefined): void {
  if (precondition === undefined || holds(precondition, current)) return;
  throw new VitrineError("precondition_failed", "change object: its precondition does not hold");
}

/**
 * Throws precondition_failed if another server has stored an object for which the precondition does not hold. `before`
 * is what this server knew of.
 */
export function assertStillHolds(
  precondition: Precondition | undefined,
  { before, replaced }: { readonly before: ObjectMeta | undefined; readonly replaced: Replaced | undefined },
): void {
  const found = replaced?.meta;
  // A tier may have an older one than L1, which is dirty then.
  if (found === undefined || (before !== undefined && found.version <= before.version)) return;
  assertHolds(precondition, found);
}
