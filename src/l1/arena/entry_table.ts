import type { ObjectKey, ObjectMeta } from "../../core/object.ts";
import type { Allocator } from "./allocator.ts";
import type { AtomicWords } from "../../core/shared_table.ts";
import type { Arena, Counters } from "./arena.ts";
import type { KeyBytes } from "./key_bytes.ts";
import {
  ACCOUNT_SHIFT,
  contentTypeHash,
  ContentTypes,
  type EntryHead,
  FIELD,
  FLAG,
  SHA256_BASE64_BYTES,
  STATE,
  writeHead,
} from "./entry.ts";
import { COUNTER, ENTRY_WORDS, GRANULE_BYTES } from "./layout.ts";

const NONE = -1;

/** Longest walk along a hash chain without the lock. */
const MAX_GUESSES = 32;

// A key may begin with U+FEFF, which a default decoder drops.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The objects of L1, one row each, and the hash index over them. Key, Content-Type, digest, kept headers and writer's
 * tag are at the start of the object's own memory. Not locked: the caller holds the arena's lock.
 */
export class EntryTable {
  readonly #arena: Arena;
  readonly #allocator: Allocator;
  readonly #atomics: AtomicWords;
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
    this.#atomics = arena.atomics;
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

  /** The state as the other threads see it, for a thread without the lock. */
  loadState(entry: number): number {
    return this.#atomics.load(this.#rows + entry * ENTRY_WORDS + FIELD.state);
  }

  /** Moves an entry to its next state. Threads without the lock see all earlier writes once they see the state. */
  setState(entry: number, state: number): void {
    this.#atomics.store(this.#rows + entry * ENTRY_WORDS + FIELD.state, state);
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

  /** The number of the quota that the entry counts for; 0: none. */
  accountOf(entry: number): number {
    return this.get(entry, FIELD.flags) >>> ACCOUNT_SHIFT;
  }

  setAccount(entry: number, account: number): void {
    const flags = this.get(entry, FIELD.flags) & ((1 << ACCOUNT_SHIFT) - 1);
    this.set(entry, FIELD.flags, flags | (account << ACCOUNT_SHIFT));
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
    memory: {
      readonly extents: number;
      readonly granules: number;
      readonly flags: number;
      readonly account: number;
    },
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
    const flags = memory.flags | FLAG.linked | (head.sha256 === "" ? 0 : FLAG.sha256);
    this.set(entry, FIELD.flags, flags | (memory.account << ACCOUNT_SHIFT));
    this.set(entry, FIELD.writer, NONE);
    this.setDouble(entry, FIELD.filledBytes, 0);
    this.set(entry, FIELD.generation, (this.get(entry, FIELD.generation) + 1) | 0);
    this.#link(entry, key.hash);
    this.setState(entry, STATE.staging);
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
    this.setState(entry, STATE.free);
    this.#allocator.release(this.get(entry, FIELD.extents));
    this.set(entry, FIELD.chain, this.#counters.get(COUNTER.entriesFree));
    this.#counters.set(COUNTER.entriesFree, entry);
  }

  /** The resident entry of a key, or -1. */
  findResident(key: KeyBytes): number {
    let entry = this.#words[this.#buckets + (key.hash & this.#mask)] ?? NONE;
    while (entry !== NONE) {
      if (this.get(entry, FIELD.state) === STATE.resident && this.isKeyOf(entry, key)) return entry;
      entry = this.get(entry, FIELD.chain);
    }
    return NONE;
  }

  /**
   * What may be the resident entry of a key, looked up without the lock, or -1. The caller must check it by `isKeyOf`;
   * -1 does not mean that there is none.
   */
  guessResident(key: KeyBytes): number {
    let entry = this.#words[this.#buckets + (key.hash & this.#mask)] ?? NONE;
    // A chain may change at any moment, so the walk may leave it, or go round.
    for (let steps = 0; steps < MAX_GUESSES && entry >= 0 && entry < this.#max; steps++) {
      if (this.get(entry, FIELD.hash) === key.hash && this.get(entry, FIELD.state) === STATE.resident) return entry;
      entry = this.get(entry, FIELD.chain);
    }
    return NONE;
  }

  /** The resident entry of a key other than `entry`, or -1. It exists only while `entry` replaces it. */
  findOtherResident(key: KeyBytes, entry: number): number {
    let other = this.#words[this.#buckets + (key.hash & this.#mask)] ?? NONE;
    while (other !== NONE) {
      if (other !== entry && this.get(other, FIELD.state) === STATE.resident && this.isKeyOf(other, key)) return other;
      other = this.get(other, FIELD.chain);
    }
    return NONE;
  }

  /** The linked stagings of a key. */
  findStagings(key: KeyBytes): number[] {
    const found: number[] = [];
    let entry = this.#words[this.#buckets + (key.hash & this.#mask)] ?? NONE;
    while (entry !== NONE) {
      if (this.get(entry, FIELD.state) === STATE.staging && this.isKeyOf(entry, key)) found.push(entry);
      entry = this.get(entry, FIELD.chain);
    }
    return found;
  }

  /** The staging of a key with the writer's tag, or -1. */
  findStaging(key: KeyBytes, tag: string): number {
    return this.findStagings(key).find((entry) => this.tagOf(entry) === tag) ?? NONE;
  }

  /** True if the entry has this key. */
  isKeyOf(entry: number, key: KeyBytes): boolean {
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

  /** True if the entry's tenant is this one, in UTF-8. */
  isOfTenant(entry: number, tenant: Uint8Array): boolean {
    if (this.#tenantLength(entry) !== tenant.length) return false;
    const granule = this.get(entry, FIELD.start);
    const segment = this.#arena.segment(granule);
    const at = this.#arena.offset(granule);
    for (let i = 0; i < tenant.length; i++) if (segment[at + i] !== tenant[i]) return false;
    return true;
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
    if (this.get(entry, FIELD.headerBytes) === 0) return meta;
    return { ...meta, headers: decoder.decode(this.headersOf(entry).slice()) };
  }

  /** The memory of the kept headers. */
  headersOf(entry: number): Uint8Array {
    const granule = this.get(entry, FIELD.start);
    const end = this.#arena.offset(granule) + this.headBytesOf(entry) - (this.get(entry, FIELD.lengths) >>> 16);
    return this.#arena.segment(granule).subarray(end - this.get(entry, FIELD.headerBytes), end);
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

  /** Copies all bytes of the object into its memory; they must fit. */
  fill(entry: number, bytes: Uint8Array): void {
    let at = 0;
    for (const view of this.viewsOf(entry, bytes.length)) {
      view.set(at === 0 && view.length === bytes.length ? bytes : bytes.subarray(at, at + view.length));
      at += view.length;
    }
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
