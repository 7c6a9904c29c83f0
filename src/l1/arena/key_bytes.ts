import { MAX_KEY_BYTES, MAX_TENANT_BYTES, type ObjectKey } from "../../core/object.ts";
import { VitrineError } from "../../core/errors.ts";

const encoder = new TextEncoder();

/**
 * Encodes one object key at a time into UTF-8 (tenant, then key) and hashes it. The next `set` overwrites the result.
 */
export class KeyBytes {
  readonly bytes: Uint8Array = new Uint8Array(3 * (MAX_TENANT_BYTES + MAX_KEY_BYTES));
  readonly #seed: number;
  tenantLength = 0;
  /** Bytes of tenant and key together. */
  length = 0;
  /** Seeded 32-bit hash. */
  hash = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Throws bad_key if tenant or key is outside its limits. */
  set(key: ObjectKey): void {
    const bytes = this.bytes;
    this.tenantLength = key.tenant === "" ? 0 : this.#put(key.tenant, 0);
    this.length = this.#put(key.key, this.tenantLength);
    const keyLength = this.length - this.tenantLength;
    if (keyLength === 0 || keyLength > MAX_KEY_BYTES) {
      throw new VitrineError("bad_key", `use a key of 1 to ${MAX_KEY_BYTES} bytes: ${keyLength} bytes`);
    }
    if (this.tenantLength > MAX_TENANT_BYTES) {
      throw new VitrineError(
        "bad_key",
        `use a tenant of at most ${MAX_TENANT_BYTES} bytes: ${this.tenantLength} bytes`,
      );
    }
    // FNV-1a, then murmur3's finalizer. The tenant's length keeps ("a", "bc") and ("ab", "c") apart.
    let hash = this.#seed ^ Math.imul(this.tenantLength + 1, 0x9e3779b1);
    for (let i = 0; i < this.length; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    this.hash = hash ^ (hash >>> 16);
  }

  /** Loads an encoded key from other memory. */
  load(
    from: Uint8Array,
    at: number,
    key: { readonly tenantLength: number; readonly length: number; readonly hash: number },
  ): void {
    for (let i = 0; i < key.length; i++) this.bytes[i] = from[at + i] ?? 0;
    this.tenantLength = key.tenantLength;
    this.length = key.length;
    this.hash = key.hash;
  }

  /** Writes text at `at` and returns its end. ASCII, the usual case, bypasses the encoder. */
  #put(text: string, at: number): number {
    const bytes = this.bytes;
    if (text.length > MAX_KEY_BYTES) throw tooLong(text);
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) return at + encoder.encodeInto(text, bytes.subarray(at)).written;
      bytes[at + i] = code;
    }
    return at + text.length;
  }
}

function tooLong(text: string): VitrineError {
  const bytes = encoder.encode(text).length;
  return new VitrineError("bad_key", `use a key of 1 to ${MAX_KEY_BYTES} bytes: ${bytes} bytes`);
}
