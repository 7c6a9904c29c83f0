import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { Allocator } from "./allocator.ts";
import type { Arena } from "./arena.ts";
import type { KeyBytes } from "./key_bytes.ts";
import { contentTypeHash, ContentTypes } from "./content_types.ts";
import type { Counters } from "./counters.ts";
import { type EntryHead, SHA256_BASE64_BYTES, writeHead } from "./entry_head.ts";
import { COUNTER, ENTRY_WORDS, GRANULE_BYTES } from "./layout.ts";

const NONE = -1;

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
  policy: 13,
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
   * Being stored by the holder of a lease without a deadline. Stays set if the object is replaced or removed meanwhile.
   */
  storing: 128,
} as const;

// A key may begin with U+FEFF, which a default decoder drops.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The objects of L1, one row each, and the hash index over them. Key, Content-Type, digest, kept headers and writer's
 * tag are at the start of the object's own memory. Not locked: the caller holds the arena's lock.
 */
export class EntryTable {
  readonly #arena: Arena;
  readonly #allocator: Allocator;
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #rows: number;
  readonly #buckets: number;
  readonly #mask: number;
  readonly #counters: Counters;
  readonly #max: number;
  readonly #contentTypes = new ContentTypes();

  constructor(arena: Arena, counters: Counters, allocator: Allocator) {
    const { at, buckets, maxObjects } = arena.layout;
    this.#arena = arena;
    this.#allocator = allocator;
    this.#words = arena.words;
    this.#doubles = arena.doubles;
    this.#rows = at.entries;
    this.#buckets = at.buckets;
    this.#mask = buckets - 1;
    this.#counters = counters;
    this.#max = maxObjects;
  }

  format(): void {
    this.#words.fill(NONE, this.#buckets, this.#buckets + this.#mask + 1);
    this.#counters.set(COUNTER.entriesTop, 0);
    this.#counters.set(COUNTER.entriesFree, NONE);
  }

  get(entry: number, field: number): number {
    return this.#words[this.#rows + entry * ENTRY_WORDS + field] ?? 0;
  }

  set(entry: number, field: number, value: number): void {
    this.#words[this.#rows + entry * ENTRY_WORDS + field] = value;
  }

  getDouble(entry: number, field: number): number {
    return this.#doubles[(this.#rows + entry * ENTRY_WORDS + field) >>> 1] ?? 0;
  }

  setDouble(entry: number, field: number, value: number): void {
    this.#doubles[(this.#rows + entry * ENTRY_WORDS + field) >>> 1] = value;
  }

  hasFlag(entry: number, flag: number): boolean {
    return (this.get(entry, FIELD.flags) & flag) !== 0;
  }

  setFlag(entry: number, flag: number): void {
    this.set(entry, FIELD.flags, this.get(entry, FIELD.flags) | flag);
  }

  clearFlag(entry: number, flag: number): void {
    this.set(entry, FIELD.flags, this.get(entry, FIELD.flags) & ~flag);
  }

  /** One above the highest row ever used. */
  get top(): number {
    return this.#counters.get(COUNTER.entriesTop);
  }

  /** True if another row can be taken. */
  get hasFreeRow(): boolean {
    return this.#counters.get(COUNTER.entriesFree) !== NONE || this.top < this.#max;
  }

  /** Creates a staging entry over `extents` and links it into the index. A free row must exist. */
  create(
    key: KeyBytes,
    head: EntryHead,
    memory: { readonly extents: number; readonly granules: number; readonly flags: number },
  ): number {
    const entry = this.#takeRow();
    const { contentType, headers, tag } = head;
    const start = this.#allocator.start(memory.extents);
    writeHead(this.#arena.segment(start).subarray(this.#arena.offset(start)), key, head);
    this.set(entry, FIELD.hash, key.hash);
    this.set(entry, FIELD.pins, 0);
    this.set(entry, FIELD.lengths, key.tenantLength | (contentType.length << 8) | (tag.length << 16));
    this.set(entry, FIELD.keyBytes, key.length - key.tenantLength);
    this.set(entry, FIELD.extents, memory.extents);
    this.set(entry, FIELD.start, start);
    this.set(entry, FIELD.contentTypeHash, contentTypeHash(contentType));
    this.set(entry, FIELD.headerBytes, headers.length);
    this.set(entry, FIELD.granules, memory.granules);
    this.set(entry, FIELD.flags, memory.flags | FLAG.linked | (head.sha256 === "" ? 0 : FLAG.sha256));
    this.set(entry, FIELD.writer, NONE);
    this.setDouble(entry, FIELD.filledBytes, 0);
    this.#link(entry, key.hash);
    this.set(entry, FIELD.state, STATE.staging);
    return entry;
  }

  /** Removes an entry from the index. Idempotent. */
  unlink(entry: number): void {
    if (!this.hasFlag(entry, FLAG.linked)) return;
    this.clearFlag(entry, FLAG.linked);
    const bucket = this.#buckets + (this.get(entry, FIELD.hash) & this.#mask);
    const next = this.get(entry, FIELD.chain);
    if (this.#words[bucket] === entry) {
      this.#words[bucket] = next;
      return;
    }
    let before = this.#words[bucket] ?? NONE;
    while (this.get(before, FIELD.chain) !== entry) before = this.get(before, FIELD.chain);
    this.set(before, FIELD.chain, next);
  }

  /** Frees the memory and the row of an unlinked entry. */
  free(entry: number): void {
    this.set(entry, FIELD.state, STATE.free);
    this.#allocator.release(this.get(entry, FIELD.extents));
    this.set(entry, FIELD.chain, this.#counters.get(COUNTER.entriesFree));
    this.#counters.set(COUNTER.entriesFree, entry);
  }

  /** The resident entry of a key, or -1. */
  findResident(key: KeyBytes): number {
    let entry = this.#words[this.#buckets + (key.hash & this.#mask)] ?? NONE;
    while (entry !== NONE) {
      if (this.get(entry, FIELD.state) === STATE.resident && this.#isKey(entry, key)) return entry;
      entry = this.get(entry, FIELD.chain);
    }
    return NONE;
  }

  /** The resident entry of a key other than `entry`, or -1. It exists only while `entry` replaces it. */
  findOtherResident(key: KeyBytes, entry: number): number {
    let other = this.#words[this.#buckets + (key.hash & this.#mask)] ?? NONE;
    while (other !== NONE) {
      if (other !== entry && this.get(other, FIELD.state) === STATE.resident && this.#isKey(other, key)) return other;
      other = this.get(other, FIELD.chain);
    }
    return NONE;
  }

  /** The linked stagings of a key. */
  findStagings(key: KeyBytes): number[] {
    const found: number[] = [];
    let entry = this.#words[this.#buckets + (key.hash & this.#mask)] ?? NONE;
    while (entry !== NONE) {
      if (this.get(entry, FIELD.state) === STATE.staging && this.#isKey(entry, key)) found.push(entry);
      entry = this.get(entry, FIELD.chain);
    }
    return found;
  }

  /** The staging of a key with the writer's tag, or -1. */
  findStaging(key: KeyBytes, tag: string): number {
    return this.findStagings(key).find((entry) => this.tagOf(entry) === tag) ?? NONE;
  }

  tenantOf(entry: number): string {
    const length = this.#tenantLength(entry);
    return length === 0 ? "" : this.#text(entry, 0, length);
  }

  keyOf(entry: number): ObjectKey {
    return {
      tenant: this.tenantOf(entry),
      key: this.#text(entry, this.#tenantLength(entry), this.get(entry, FIELD.keyBytes)),
    };
  }

  /** Sets `key` to the entry's key. */
  loadKey(entry: number, key: KeyBytes): void {
    const granule = this.get(entry, FIELD.start);
    const at = this.#arena.offset(granule);
    const length = this.#tenantLength(entry) + this.get(entry, FIELD.keyBytes);
    key.load(this.#arena.segment(granule), at, {
      tenantLength: this.#tenantLength(entry),
      length,
      hash: this.get(entry, FIELD.hash),
    });
  }

  /** The tag of the entry's writer. */
  tagOf(entry: number): string {
    const at = this.headBytesOf(entry);
    const length = this.get(entry, FIELD.lengths) >>> 16;
    return this.#text(entry, at - length, length);
  }

  /** Bytes in front of the object itself: key, metadata and tag. */
  headBytesOf(entry: number): number {
    const lengths = this.get(entry, FIELD.lengths);
    return (lengths & 255) + this.get(entry, FIELD.keyBytes) + ((lengths >>> 8) & 255) +
      (this.hasFlag(entry, FLAG.sha256) ? SHA256_BASE64_BYTES : 0) + this.get(entry, FIELD.headerBytes) +
      (lengths >>> 16);
  }

  /** Sets the metadata that is kept in the row. */
  setMeta(
    entry: number,
    meta: Pick<ObjectMeta, "sizeBytes" | "crc32" | "version" | "createdMs" | "expiresMs">,
  ): void {
    this.setDouble(entry, FIELD.sizeBytes, meta.sizeBytes);
    this.setDouble(entry, FIELD.version, meta.version);
    this.setDouble(entry, FIELD.createdMs, meta.createdMs);
    this.setDouble(entry, FIELD.expiresMs, meta.expiresMs);
    this.set(entry, FIELD.crc32, meta.crc32 | 0);
  }

  metaOf(entry: number): ObjectMeta {
    const contentTypeAt = this.#tenantLength(entry) + this.get(entry, FIELD.keyBytes);
    const contentTypeLength = (this.get(entry, FIELD.lengths) >>> 8) & 255;
    const meta: ObjectMeta = {
      sizeBytes: this.getDouble(entry, FIELD.sizeBytes),
      crc32: this.get(entry, FIELD.crc32) >>> 0,
      version: this.getDouble(entry, FIELD.version),
      createdMs: this.getDouble(entry, FIELD.createdMs),
      expiresMs: this.getDouble(entry, FIELD.expiresMs),
      contentType: contentTypeLength === 0 ? "" : this.#contentType(entry, contentTypeAt, contentTypeLength),
      sha256: this.hasFlag(entry, FLAG.sha256)
        ? this.#text(entry, contentTypeAt + contentTypeLength, SHA256_BASE64_BYTES)
        : "",
    };
    const headerBytes = this.get(entry, FIELD.headerBytes);
    if (headerBytes === 0) return meta;
    const tagBytes = this.get(entry, FIELD.lengths) >>> 16;
    return { ...meta, headers: this.#text(entry, this.headBytesOf(entry) - tagBytes - headerBytes, headerBytes) };
  }

  /** Bytes of the object that fit into the entry's memory. */
  capacityOf(entry: number): number {
    return this.get(entry, FIELD.granules) * GRANULE_BYTES - this.headBytesOf(entry);
  }

  /** Views over the first `sizeBytes` of the object, limited to its capacity. */
  viewsOf(entry: number, sizeBytes: number): Uint8Array[] {
    const views: Uint8Array[] = [];
    let skip = this.headBytesOf(entry);
    let left = sizeBytes;
    for (let block = this.get(entry, FIELD.extents); block !== NONE && left > 0; block = this.#allocator.next(block)) {
      const granule = this.#allocator.start(block);
      const start = this.#arena.offset(granule) + skip;
      const bytes = Math.min(this.#allocator.length(block) * GRANULE_BYTES - skip, left);
      skip = 0;
      if (bytes > 0) views.push(this.#arena.segment(granule).subarray(start, start + bytes));
      left -= bytes;
    }
    return views;
  }

  /** Rebuilds the index and the free list from the entries' state words and flags. */
  rebuild(): void {
    this.#words.fill(NONE, this.#buckets, this.#buckets + this.#mask + 1);
    let free = NONE;
    for (let entry = this.top - 1; entry >= 0; entry--) {
      if (this.get(entry, FIELD.state) === STATE.free) {
        this.set(entry, FIELD.chain, free);
        free = entry;
      } else if (this.hasFlag(entry, FLAG.linked)) this.#link(entry, this.get(entry, FIELD.hash));
    }
    this.#counters.set(COUNTER.entriesFree, free);
  }

  #link(entry: number, hash: number): void {
    const bucket = this.#buckets + (hash & this.#mask);
    this.set(entry, FIELD.chain, this.#words[bucket] ?? NONE);
    this.#words[bucket] = entry;
  }

  #takeRow(): number {
    let entry = this.#counters.get(COUNTER.entriesFree);
    if (entry === NONE) {
      entry = this.top;
      this.#counters.set(COUNTER.entriesTop, entry + 1);
    } else {
      this.#counters.set(COUNTER.entriesFree, this.get(entry, FIELD.chain));
    }
    return entry;
  }

  #tenantLength(entry: number): number {
    return this.get(entry, FIELD.lengths) & 255;
  }

  #isKey(entry: number, key: KeyBytes): boolean {
    if (
      this.get(entry, FIELD.hash) !== key.hash || this.#tenantLength(entry) !== key.tenantLength ||
      this.get(entry, FIELD.keyBytes) !== key.length - key.tenantLength
    ) return false;
    const granule = this.get(entry, FIELD.start);
    const segment = this.#arena.segment(granule);
    const at = this.#arena.offset(granule);
    for (let i = 0; i < key.length; i++) if (segment[at + i] !== key.bytes[i]) return false;
    return true;
  }

  /** Text from the head. Copies the bytes first, because TextDecoder rejects shared memory. */
  #text(entry: number, from: number, length: number): string {
    const granule = this.get(entry, FIELD.start);
    const at = this.#arena.offset(granule) + from;
    return decoder.decode(this.#arena.segment(granule).slice(at, at + length));
  }

  #contentType(entry: number, from: number, length: number): string {
    const granule = this.get(entry, FIELD.start);
    const at = this.#arena.offset(granule) + from;
    const hash = this.get(entry, FIELD.contentTypeHash);
    const known = this.#contentTypes.find(this.#arena.segment(granule), { at, length, hash });
    return known ?? this.#contentTypes.keep(hash, this.#text(entry, from, length));
  }
}
