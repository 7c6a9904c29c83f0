import { VitrineError } from "../../core/errors.ts";
import type { L1, Lease, Staging } from "../../l1/types.ts";
import { copyInto } from "../copy_into.ts";
import type { LeaseKeeper } from "../lease_keeper.ts";
import { memoryChunks } from "../memory_chunks.ts";

/** Takes an upload into memory staged in L1. */
export class StagedSink {
  readonly lease: Lease;
  readonly #l1: L1;
  readonly #keeper: LeaseKeeper;
  #extents: readonly Uint8Array[];
  #capacityBytes = 0;
  #sizeBytes = 0;

  constructor(staging: Staging, options: { readonly l1: L1; readonly keeper: LeaseKeeper }) {
    this.lease = staging.lease;
    this.#l1 = options.l1;
    this.#keeper = options.keeper;
    this.#extents = staging.extents;
    this.#capacityBytes = lengthOf(staging.extents);
    this.#keeper.keep(this.lease);
  }

  get extents(): readonly Uint8Array[] {
    return this.#extents;
  }

  /** Copies the chunk in, growing the staging if need be; refused, nothing of the chunk was taken. Throws no_room if the lease has run out. */
  append(chunk: Uint8Array): "taken" | "no_room" | "too_large" {
    // In the same turn as the copy: memory of a lease that has run out may belong to somebody else.
    if (!this.#l1.renew(this.lease)) throw leaseLost();
    const refusal = this.#grow(this.#sizeBytes + chunk.length);
    if (refusal !== undefined) return refusal;
    copyInto(this.#extents, this.#sizeBytes, chunk);
    this.#sizeBytes += chunk.length;
    return "taken";
  }

  /** What was taken, in order; each chunk is valid until the next is asked for. */
  *chunks(): Generator<Uint8Array, void, void> {
    for (const chunk of memoryChunks(this.#extents, 0, this.#sizeBytes)) {
      if (!this.#l1.renew(this.lease)) throw leaseLost();
      yield chunk;
    }
    if (!this.#l1.renew(this.lease)) throw leaseLost();
  }

  /** Gives the memory back, unless it was admitted. Idempotent. */
  release(): void {
    this.#keeper.drop(this.lease);
    this.#l1.abort([this.lease]);
  }

  #grow(neededBytes: number): "no_room" | "too_large" | undefined {
    if (neededBytes <= this.#capacityBytes) return undefined;
    const limitBytes = this.#l1.admissionLimitBytes;
    if (neededBytes > limitBytes) return "too_large";
    const generous = this.#l1.extend(this.lease, Math.min(limitBytes, Math.max(neededBytes, 2 * this.#capacityBytes)));
    const extents = generous === "no_room" ? this.#l1.extend(this.lease, neededBytes) : generous;
    if (extents === "stale") throw leaseLost();
    if (typeof extents === "string") return extents;
    this.#extents = extents;
    this.#capacityBytes = lengthOf(extents);
    return undefined;
  }
}

function lengthOf(extents: readonly Uint8Array[]): number {
  return extents.reduce((sum, extent) => sum + extent.length, 0);
}

function leaseLost(): VitrineError {
  return new VitrineError("no_room", "take upload: its write lease has run out");
}
