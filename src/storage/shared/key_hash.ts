import type { ObjectKey } from "../../core/key.ts";

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
