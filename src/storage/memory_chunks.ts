/** Maximum size of a chunk, in bytes, so that a lease is checked often and no single write takes long. */
export const MAX_CHUNK_BYTES = 1024 * 1024;

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
