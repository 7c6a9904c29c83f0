/** Copies `chunk` into memory that lies in `extents`, from byte `at` on; it must fit. */
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
