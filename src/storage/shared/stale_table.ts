import type { ObjectKey } from "../../core/key.ts";
import { keyHash } from "./fingerprint.ts";
import { HEAD, type SharedKeysLayout, STALE } from "./memory.ts";

const NONE = -1;

/**
 * Keys with outdated copies that could not be deleted, and the tiers that hold them, for all threads: a hash table of
 * 64-bit fingerprints with a bit per tier. A row without bits stays as a tombstone until no key is left. Only the owner
 * of the tiers changes marks, under the key's latch, so that a reader of a changing mark looks again.
 */
export class StaleTable {
  readonly #words: Int32Array;
  readonly #layout: SharedKeysLayout;
  readonly #seed: number;

  constructor(words: Int32Array, options: { readonly layout: SharedKeysLayout; readonly hashSeed: number }) {
    this.#words = words;
    this.#layout = options.layout;
    this.#seed = options.hashSeed;
  }

  /** True if any key is marked. */
  get hasAny(): boolean {
    return this.#load(HEAD.staleKeys) !== 0;
  }

  /** True if the tier's copy of the key is outdated. Costs one read while no key is marked. */
  has(key: ObjectKey, tier: number): boolean {
    if (!this.hasAny) return false;
    const row = this.#find(key);
    return row !== NONE && (this.#get(row, STALE.tiers) & bitOf(tier)) !== 0;
  }

  /** Marks a copy as outdated. False beyond the limit; the whole tier is then distrusted instead. */
  add(key: ObjectKey, tier: number): boolean {
    const known = this.#find(key);
    if (known !== NONE) this.#setTiers(known, this.#get(known, STALE.tiers) | bitOf(tier));
    else if (this.#load(HEAD.staleKeys) < this.#layout.maxStaleKeys) this.#insert(key, tier);
    else {
      Atomics.or(this.#words, HEAD.distrustedTiers, bitOf(tier));
      return false;
    }
    return true;
  }

  /** Unmarks a copy. True if it was marked. */
  remove(key: ObjectKey, tier: number): boolean {
    if (!this.has(key, tier)) return false;
    const row = this.#find(key);
    this.#setTiers(row, this.#get(row, STALE.tiers) & ~bitOf(tier));
    this.#tidy();
    return true;
  }

  /** Removes all marks of a tier, and trusts it again. */
  clear(tier: number): void {
    Atomics.and(this.#words, HEAD.distrustedTiers, ~bitOf(tier));
    if (!this.hasAny) return;
    for (let row = 0; row < this.#layout.staleRows; row++) {
      this.#setTiers(row, this.#get(row, STALE.tiers) & ~bitOf(tier));
    }
    this.#tidy();
  }

  /** True if more keys of the tier became stale than can be remembered. */
  isDistrusted(tier: number): boolean {
    return (this.#load(HEAD.distrustedTiers) & bitOf(tier)) !== 0;
  }

  /** Recounts the keys, for a new owner whose predecessor may have died during a change. */
  recount(): void {
    let keys = 0;
    for (let row = 0; row < this.#layout.staleRows; row++) if (this.#get(row, STALE.tiers) !== 0) keys++;
    Atomics.store(this.#words, HEAD.staleKeys, keys);
  }

  #insert(key: ObjectKey, tier: number): void {
    const [hash, check] = this.#fingerprint(key);
    let row = hash & (this.#layout.staleRows - 1);
    // There are twice as many rows as keys, so that one without bits always exists.
    while (this.#get(row, STALE.tiers) !== 0) row = (row + 1) & (this.#layout.staleRows - 1);
    this.#set(row, STALE.hash, hash);
    this.#set(row, STALE.check, check);
    this.#setTiers(row, bitOf(tier));
  }

  #find(key: ObjectKey): number {
    const [hash, check] = this.#fingerprint(key);
    const mask = this.#layout.staleRows - 1;
    for (let step = 0; step <= mask; step++) {
      const row = (hash + step) & mask;
      const found = this.#get(row, STALE.check);
      if (found === 0) return NONE;
      const isLive = this.#get(row, STALE.tiers) !== 0;
      if (isLive && found === check && this.#get(row, STALE.hash) === hash) return row;
    }
    return NONE;
  }

  /** The second half is never 0, which marks an empty row. */
  #fingerprint(key: ObjectKey): readonly [number, number] {
    return [keyHash(key, this.#seed) | 0, (keyHash(key, ~this.#seed) | 1) | 0];
  }

  #setTiers(row: number, tiers: number): void {
    const before = this.#get(row, STALE.tiers);
    this.#set(row, STALE.tiers, tiers);
    const change = (tiers === 0 ? 0 : 1) - (before === 0 ? 0 : 1);
    if (change !== 0) Atomics.add(this.#words, HEAD.staleKeys, change);
  }

  #tidy(): void {
    if (this.hasAny) return;
    const { at, staleRows } = this.#layout;
    this.#words.fill(0, at.stale, at.stale + staleRows * STALE.words);
  }

  #get(row: number, field: number): number {
    return this.#load(this.#layout.at.stale + row * STALE.words + field);
  }

  #set(row: number, field: number, value: number): void {
    Atomics.store(this.#words, this.#layout.at.stale + row * STALE.words + field, value);
  }

  #load(word: number): number {
    return Atomics.load(this.#words, word);
  }
}

function bitOf(tier: number): number {
  return 1 << tier;
}
