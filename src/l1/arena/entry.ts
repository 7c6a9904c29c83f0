import type { KeyBytes } from "./key_bytes.ts";

/** Words of an entry row. Words 16 and up are float64 pairs. */
export const FIELD = {
  state: 0,
  flags: 1,
  hash: 2,
  /** Next entry of the hash chain or of the free list. */
  chain: 3,
  /** Number of read leases. */
  pins: 4,
  /** Bytes of tenant | content type << 8 | tag << 16. */
  lengths: 5,
  keyBytes: 6,
  /** First block of the entry's memory. */
  extents: 7,
  granules: 8,
  crc32: 9,
  /** Lease slot of the writer, while staging. */
  writer: 10,
  /** Owned by the eviction policy. */
  newer: 11,
  older: 12,
  /** Also owned by the policy, which writes it without the lock: two threads at once may count one read. */
  reads: 13,
  /** First granule of the entry's memory. Saves a lookup in the block table. */
  start: 14,
  contentTypeHash: 15,
  sizeBytes: 16,
  version: 18,
  createdMs: 20,
  expiresMs: 22,
  /** Used by a staging. Once the object is resident, these words link it into the dirty lists. */
  filledBytes: 24,
  laterDirty: 24,
  earlierDirty: 25,
  /** Monotonic milliseconds at which the entry became resident. */
  admittedMs: 26,
  /** Neighbours in admission order. */
  laterAdmitted: 28,
  earlierAdmitted: 29,
  /** Bytes of the kept headers. */
  headerBytes: 30,
  /** Counts the objects that had this row, so that row and generation name one object. */
  generation: 31,
} as const;

/**
 * free → staging → resident → detached (hidden, still read) → free. The state word is written last when an entry is
 * created and first when it ends.
 */
export const STATE = { free: 0, staging: 1, resident: 2, detached: 3 } as const;

export const FLAG = {
  sha256: 1,
  temporary: 2,
  /** A staging with final metadata that readers may follow. */
  loading: 4,
  /** The entry is in a hash chain. */
  linked: 8,
  /** All bytes of the object are present. */
  complete: 16,
  /** A staging whose writer was declared dead; no more bytes will come. */
  orphaned: 64,
  /**
   * A resident object that the tiers do not have yet. It is never evicted, and stays in the index after it has expired.
   */
  dirty: 32,
  /**
   * Being stored by the owner of a lease without a deadline. Stays set if the object is replaced or removed meanwhile.
   */
  storing: 128,
  /** Owned by the eviction policy. */
  main: 256,
} as const;

/** The bits of the flags from this one on are the entry's account: the number of its tenant's quota, or 0. */
export const ACCOUNT_SHIFT = 16;

/** Bytes of a base64 SHA-256. */
export const SHA256_BASE64_BYTES = 44;

/** The metadata between an object's key and its bytes. */
export interface EntryHead {
  readonly contentType: Uint8Array;
  /** 44 characters of base64, or "". */
  readonly sha256: string;
  /** Kept header fields, packed. */
  readonly headers: Uint8Array;
  readonly tag: Uint8Array;
}

/**
 * Bytes of key and head in front of an object. They always fit its first block, because the allocator never splits less
 * than 16 KiB.
 */
export function headBytes(key: KeyBytes, head: EntryHead): number {
  return key.length + head.contentType.length + head.sha256.length + head.headers.length + head.tag.length;
}

/** Writes key and head to the start of an object's memory. */
export function writeHead(memory: Uint8Array, key: KeyBytes, head: EntryHead): void {
  let at = 0;
  for (; at < key.length; at++) memory[at] = key.bytes[at] ?? 0;
  memory.set(head.contentType, at);
  at += head.contentType.length;
  for (let i = 0; i < head.sha256.length; i++) memory[at + i] = head.sha256.charCodeAt(i);
  at += head.sha256.length;
  memory.set(head.headers, at);
  memory.set(head.tag, at + head.headers.length);
}

/** Maximum number of cached texts. */
const MAX_TEXTS = 1024;

/** Position and hash of an encoded Content-Type. */
interface EncodedText {
  readonly at: number;
  readonly length: number;
  readonly hash: number;
}

/** Cache of recently seen Content-Types by hash. They repeat, and a hit compares bytes instead of decoding them. */
export class ContentTypes {
  readonly #texts = new Map<number, string>();

  /** The cached text of these bytes. Only ASCII text is found, because there one character is one byte. */
  find(bytes: Uint8Array, { at, length, hash }: EncodedText): string | undefined {
    const text = this.#texts.get(hash);
    if (text?.length !== length) return undefined;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f || bytes[at + i] !== code) return undefined;
    }
    return text;
  }

  keep(hash: number, text: string): string {
    if (this.#texts.size >= MAX_TEXTS) this.#texts.clear();
    this.#texts.set(hash, text);
    return text;
  }
}

/** A 32-bit hash of a Content-Type's bytes. Hashes may collide; `find` compares the bytes. */
export function contentTypeHash(bytes: Uint8Array): number {
  let hash = bytes.length;
  for (const byte of bytes) hash = (Math.imul(hash, 31) + byte) | 0;
  return hash;
}
