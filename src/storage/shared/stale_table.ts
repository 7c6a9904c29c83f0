import type { ObjectKey } from "../../core/key.ts";
import { keyHash } from "./fingerprint.ts";
import { HEAD, type SharedKeysLayout, STALE } from "./memory.ts";

const NONE = -1;

/**
 * The keys of which tiers hold an outdated copy that could not be deleted, for all threads: a hash table of 64-bit
 * fingerprints with a bit for each tier. A row whose bits are gone stays as a stepping stone until no key is left. The
 * owner of the tiers alone changes marks, under the key's latch; so whoever reads one that changes looks again.
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

  /** Whether some key is marked. */
  get hasAny(): boolean {
    return this.#load(HEAD.staleKeys) !== 0;
  }

  /** Whether the tier's copy of the key is outdated. Costs one look while no key is marked. */
  has(key: ObjectKey, tier: number): boolean {
    if (!this.hasAny) return false;
    const row = this.#find(key);
    return row !== NONE && (this.#get(row, STALE.tiers) & bitOf(tier)) !== 0;
  }

  /** Marks a copy as outdated; false beyond the limit: the whole tier is distrusted instead. */
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

  /** True if the copy was marked. */
  remove(key: ObjectKey, tier: number): boolean {
    if (!this.has(key, tier)) return false;
    const row = this.#find(key);
    this.#setTiers(row, this.#get(row, STALE.tiers) & ~bitOf(tier));
    this.#tidy();
    return true;
  }

  /** Forgets all marks of a tier, and trusts it again. */
  clear(tier: number): void {
    Atomics.and(this.#words, HEAD.distrustedTiers, ~bitOf(tier));
    if (!this.hasAny) return;
    for (let row = 0; row < this.#layout.staleRows; row++) {
      this.#setTiers(row, this.#get(row, STALE.tiers) & ~bitOf(tier));
    }
    this.#tidy();
  }

  /** Whether more keys of the tier went stale than are remembered. */
  isDistrusted(tier: number): boolean {
    return (this.#load(HEAD.distrustedTiers) & bitOf(tier)) !== 0;
  }

  /** For a new owner, whose predecessor may have died in the middle of a change: counts the keys anew. */
  recount(): void {
    let keys = 0;
    for (let row = 0; row < this.#layout.staleRows; row++) if (this.#get(row, STALE.tiers) !== 0) keys++;
    Atomics.store(this.#words, HEAD.staleKeys, keys);
  }

  #insert(key: ObjectKey, tier: number): void {
    const [hash, check] = this.#fingerprint(key);
    let row = hash & (this.#layout.staleRows - 1);
    // There are twice as many rows as keys: one without bits is always found.
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

  /** The second half is never 0: that is an empty row. */
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
