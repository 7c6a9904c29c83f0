import type { EncodedKey } from "../../l1/l1.ts";
import type { ObjectKey } from "../../core/key.ts";

/**
 * A seeded 64-bit fingerprint of a key's UTF-8 bytes, in two halves that are computed differently. The next `set`
 * overwrites it.
 */
export class Fingerprint {
  readonly #seed: number;
  high = 0;
  low = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Returns itself. */
  set({ bytes, tenantLength, length }: EncodedKey): this {
    // The tenant's length keeps ("a", "bc") and ("ab", "c") apart.
    let high = this.#seed ^ Math.imul(tenantLength + 1, 0x9e3779b1);
    let low = ~this.#seed ^ Math.imul(tenantLength + 1, 0x85ebca77);
    for (let i = 0; i < length; i++) {
      const byte = bytes[i] ?? 0;
      // `high` is FNV-1a. `low` rotates in each step, so that its low bits depend on high ones too.
      high = Math.imul(high ^ byte, 0x01000193);
      low = Math.imul(((low << 5) | (low >>> 27)) ^ byte, 0x27d4eb2f);
    }
    this.high = finish(high);
    this.low = finish(low);
    return this;
  }
}

/** murmur3's finalizer. */
function finish(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/** A seeded 32-bit hash of an object key: FNV-1a over its UTF-16 units, then murmur3's finalizer. Unsigned. */
export function keyHash(key: ObjectKey, seed: number): number {
  let hash = seed ^ Math.imul(key.tenant.length + 1, 0x9e3779b1);
  for (const text of [key.tenant, key.key]) {
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
