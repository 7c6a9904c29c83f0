import { VitrineError } from "../../core/errors.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { L1, Lease } from "../../l1/l1.ts";
import type { StoreSource, WholeObject } from "../../l2/adapter.ts";
import { memoryChunks } from "../memory_chunks.ts";

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
