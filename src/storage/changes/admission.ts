import { holds, type ObjectMeta, type Precondition } from "../../core/object.ts";
import type { WriteCommit } from "../../l1/l1.ts";
import type { StorageContext } from "../context.ts";
import type { NewObject } from "./tier_changes.ts";
import { VitrineError } from "../../core/errors.ts";

/** The metadata of an object that is about to be admitted. */
export function newMeta({ clock, shared }: Pick<StorageContext, "clock" | "shared">, object: NewObject): ObjectMeta {
  const { ttlSeconds, headers, ...rest } = object;
  const createdMs = Math.floor(clock.nowMs());
  return {
    ...rest,
    version: shared.versions.next(createdMs),
    createdMs,
    expiresMs: ttlSeconds === 0 ? 0 : createdMs + ttlSeconds * 1000,
    ...(headers === undefined ? {} : { headers }),
  };
}

/** The L1 commit of an object. */
export function commitOf(lease: WriteCommit["lease"], meta: ObjectMeta): WriteCommit {
  const { sizeBytes, crc32, version, createdMs, expiresMs } = meta;
  return { lease, sizeBytes, crc32, version, createdMs, expiresMs };
}

/** Throws precondition_failed unless the precondition holds for the current object. */
export function assertHolds(precondition: Precondition | undefined, current: ObjectMeta | undefined): void {
  if (precondition === undefined || holds(precondition, current)) return;
  throw new VitrineError("precondition_failed", "change object: its precondition does not hold");
}

/** The error for an upload without a live write lease. */
export function leaseLost(): VitrineError {
  return new VitrineError("no_room", "take upload: its write lease has run out");
}
