import type { L1, Lease, WriteRequest } from "../../l1/l1.ts";
import { leaseLost } from "../changes/admission.ts";
import { copyInto, memoryChunks } from "../memory_chunks.ts";
import type { LeaseKeeper } from "../lease_keeper.ts";

/** Options of a StagedSink. */
export interface StagedSinkOptions {
  readonly l1: L1;
  readonly keeper: LeaseKeeper;
  readonly object: Pick<WriteRequest, "key" | "contentType" | "sha256" | "headers">;
  /** Unique among all uploads. */
  readonly tag: string;
  /** undefined: not announced. */
  readonly sizeBytes: number | undefined;
}

/**
 * Takes an upload into memory staged in L1, which grows as bytes arrive. Bytes that are only announced evict nothing.
 */
export class StagedSink {
  readonly #options: StagedSinkOptions;
  #lease: Lease | undefined;
  #extents: readonly Uint8Array[] = [];
  #capacityBytes = 0;
  #sizeBytes = 0;

  constructor(options: StagedSinkOptions) {
    this.#options = options;
  }

  /** True once it has memory in L1, from the first `append` on. */
  get isOpen(): boolean {
    return this.#lease !== undefined;
  }

  /** Throws no_room before the first `append`. */
  get lease(): Lease {
    if (this.#lease === undefined) throw leaseLost();
    return this.#lease;
  }

  get extents(): readonly Uint8Array[] {
    return this.#extents;
  }

  /**
   * Copies the chunk in, growing the staging if necessary. If it is refused, nothing of the chunk was taken. Throws
   * no_room if the lease has expired.
   */
  append(chunk: Uint8Array): "taken" | "no_room" | "too_large" {
    const sizeBytes = this.#sizeBytes + chunk.length;
    const refusal = this.#lease === undefined ? this.#open(sizeBytes) : this.#grow(this.#lease, sizeBytes);
    if (refusal !== undefined) return refusal;
    copyInto(this.#extents, this.#sizeBytes, chunk);
    this.#sizeBytes = sizeBytes;
    return "taken";
  }

  /** The bytes taken so far, in order. Each chunk is valid until the next is requested. */
  *chunks(): Generator<Uint8Array, void, void> {
    if (this.#lease === undefined) return;
    for (const chunk of memoryChunks(this.#extents, 0, this.#sizeBytes)) {
      this.#renew(this.#lease);
      yield chunk;
    }
    this.#renew(this.#lease);
  }

  /** Frees the memory, unless it was admitted. Idempotent. */
  release(): void {
    if (this.#lease === undefined) return;
    this.#options.keeper.drop(this.#lease);
    this.#options.l1.abort([this.#lease]);
  }

  #open(sizeBytes: number): "no_room" | "too_large" | undefined {
    const { l1, keeper, object, tag } = this.#options;
    const [staged] = l1.reserveWrite([{ ...object, sizeBytes, spareBytes: this.#spareBytes(sizeBytes) }], tag);
    if (typeof staged !== "object") return staged === "too_large" ? staged : "no_room";
    this.#lease = staged.lease;
    keeper.keep(this.#lease);
    this.#use(staged.extents);
    return undefined;
  }

  #grow(lease: Lease, sizeBytes: number): "no_room" | "too_large" | undefined {
    // In the same synchronous step as the copy: memory of an expired lease may belong to another object.
    this.#renew(lease);
    if (sizeBytes <= this.#capacityBytes) return undefined;
    const extents = this.#options.l1.extend(lease, sizeBytes, this.#spareBytes(sizeBytes));
    if (extents === "stale") throw leaseLost();
    if (typeof extents === "string") return extents;
    this.#use(extents);
    return undefined;
  }

  /** As many bytes again as have arrived, so that a large upload grows in few steps. */
  #spareBytes(sizeBytes: number): number {
    const end = this.#options.sizeBytes ?? this.#options.l1.admissionLimitBytes;
    return Math.max(0, Math.min(sizeBytes, end - sizeBytes));
  }

  #use(extents: readonly Uint8Array[]): void {
    this.#extents = extents;
    this.#capacityBytes = extents.reduce((sum, extent) => sum + extent.length, 0);
  }

  #renew(lease: Lease): void {
    if (!this.#options.l1.renew(lease)) throw leaseLost();
  }
}
