import { VitrineError } from "../core/errors.ts";
import type { ObjectMeta } from "../core/object.ts";
import type { L1, Lease, WriteRequest } from "../l1/l1.ts";
import type { StoreSource, WholeObject } from "../l2/adapter.ts";
import type { LeaseRenewer } from "./timers.ts";

/** Maximum size of a chunk, in bytes, so that a lease is checked often and no single write takes long. */
const MAX_CHUNK_BYTES = 1024 * 1024;

/**
 * Views of the bytes [start, end) of an object in `extents`, in order. None is empty or larger than MAX_CHUNK_BYTES.
 */
export function* memoryChunks(
  extents: readonly Uint8Array[],
  start: number,
  end: number,
): Generator<Uint8Array, void, void> {
  let extentStart = 0;
  for (const extent of extents) {
    const stop = Math.min(extent.length, end - extentStart);
    let at = Math.max(0, start - extentStart);
    while (at < stop) {
      const next = Math.min(stop, at + MAX_CHUNK_BYTES);
      yield extent.subarray(at, next);
      at = next;
    }
    extentStart += extent.length;
    if (extentStart >= end) return;
  }
}

/** Copies `chunk` into `extents`, from byte `at` on; it must fit. */
export function copyInto(extents: readonly Uint8Array[], at: number, chunk: Uint8Array): void {
  let extentStart = 0;
  let copied = 0;
  for (const extent of extents) {
    const from = at + copied - extentStart;
    if (from < extent.length) {
      const part = chunk.subarray(copied, copied + extent.length - from);
      extent.set(part, from);
      copied += part.length;
      if (copied === chunk.length) return;
    }
    extentStart += extent.length;
  }
  if (copied < chunk.length) throw new RangeError(`copy into extents: ${chunk.length - copied} bytes do not fit`);
}

/** Memory of L1 behind a live lease, and the metadata of its object. */
export interface LeasedMemory {
  readonly lease: Lease;
  readonly extents: readonly Uint8Array[];
  readonly meta: ObjectMeta;
}

/**
 * A source over leased memory. Throws, before anything becomes visible, if the lease was not live the whole time.
 * `durable`: a client waits for the store.
 */
export function memorySource(l1: L1, memory: LeasedMemory, options: { readonly durable: boolean }): StoreSource {
  const { lease, extents, meta } = memory;
  async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
    for (const chunk of memoryChunks(extents, 0, meta.sizeBytes)) {
      assertAlive(l1, lease);
      yield chunk;
    }
  }
  return {
    sizeBytes: meta.sizeBytes,
    atHand: meta,
    durable: options.durable,
    chunks: chunks(),
    meta: () => {
      // A lease that is live now was live all the time: an expired lease cannot be renewed.
      assertAlive(l1, lease);
      return meta;
    },
  };
}

/** A small object over leased memory whose extents are exactly its bytes. Throws like `memorySource`. */
export function memoryObject(l1: L1, memory: LeasedMemory, options: { readonly durable: boolean }): WholeObject {
  const { lease, extents, meta } = memory;
  return { meta, extents, durable: options.durable, assertWanted: () => assertAlive(l1, lease) };
}

function assertAlive(l1: L1, lease: Lease): void {
  if (!l1.renew(lease)) throw new VitrineError("tier_failed", "store object: its lease in memory has run out");
}

/** The error for an upload without a live write lease. */
export function leaseLost(): VitrineError {
  return new VitrineError("no_room", "take upload: its write lease has run out");
}

/** Reasons why L1 takes no more of an upload; only `over_quota` refuses the upload itself. */
export type StagingRefusal = "no_room" | "too_large" | "over_quota";

/** Options of a StagedSink. */
export interface StagedSinkOptions {
  readonly l1: L1;
  readonly renewer: LeaseRenewer;
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
  append(chunk: Uint8Array): "taken" | StagingRefusal {
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

  /** The memory was admitted: there is nothing left to free. */
  admitted(): void {
    if (this.#lease !== undefined) this.#options.renewer.drop(this.#lease);
    this.#lease = undefined;
  }

  /** Frees the memory, unless it was admitted. Idempotent. */
  release(): void {
    if (this.#lease === undefined) return;
    this.#options.renewer.drop(this.#lease);
    this.#options.l1.abort([this.#lease]);
  }

  #open(sizeBytes: number): StagingRefusal | undefined {
    const { l1, renewer, object, tag } = this.#options;
    const [staged] = l1.reserveWrite([{ ...object, sizeBytes, spareBytes: this.#spareBytes(sizeBytes) }], tag);
    if (staged === "too_large" || staged === "over_quota") return staged;
    if (typeof staged !== "object") return "no_room";
    this.#lease = staged.lease;
    renewer.keep(this.#lease);
    this.#use(staged.extents);
    return undefined;
  }

  #grow(lease: Lease, sizeBytes: number): StagingRefusal | undefined {
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
