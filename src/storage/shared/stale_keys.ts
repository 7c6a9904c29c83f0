import { keyId, type ObjectKey } from "../../core/object.ts";
import { SharedTable, type SharedWords } from "../../core/shared_table.ts";
import { HEAD, keyHash, type SharedKeysLayout, STALE } from "./memory.ts";

const NONE = -1;

/**
 * Keys with outdated copies that could not be deleted, and the tiers that hold them, for all threads: a hash table of
 * 64-bit fingerprints with a bit per tier. A row without bits stays as a tombstone until no key is left. Only the owner
 * of the tiers changes marks, under the key's lock, so that a reader of a changing mark looks again.
 */
export class StaleTable {
  readonly #memory: SharedWords;
  readonly #rows: SharedTable;
  readonly #layout: SharedKeysLayout;
  readonly #seed: number;

  constructor(memory: SharedWords, options: { readonly layout: SharedKeysLayout; readonly hashSeed: number }) {
    this.#memory = memory;
    this.#rows = new SharedTable(memory, options.layout.at.stale, STALE.words);
    this.#layout = options.layout;
    this.#seed = options.hashSeed;
  }

  /** True if any key is marked. */
  get hasAny(): boolean {
    return this.#load(HEAD.staleKeys) !== 0;
  }

  /** True while less than half of the keys that can be marked are. */
  get hasRoom(): boolean {
    return this.#load(HEAD.staleKeys) < this.#layout.maxStaleKeys / 2;
  }

  /** True if the tier's copy of the key is outdated. Costs one read while no key is marked. */
  has(key: ObjectKey, tier: number): boolean {
    if (!this.hasAny) return false;
    const row = this.#find(key);
    return row !== NONE && (this.#rows.load(row, STALE.tiers) & bitOf(tier)) !== 0;
  }

  /** Marks a copy as outdated. False beyond the limit; the whole tier is then distrusted fallback. */
  add(key: ObjectKey, tier: number): boolean {
    const known = this.#find(key);
    if (known !== NONE) this.#setTiers(known, this.#rows.load(known, STALE.tiers) | bitOf(tier));
    else if (this.#load(HEAD.staleKeys) < this.#layout.maxStaleKeys) this.#insert(key, tier);
    else {
      Atomics.or(this.#memory.words, HEAD.distrustedTiers, bitOf(tier));
      return false;
    }
    return true;
  }

  /** Unmarks a copy. True if it was marked. */
  remove(key: ObjectKey, tier: number): boolean {
    if (!this.has(key, tier)) return false;
    const row = this.#find(key);
    this.#setTiers(row, this.#rows.load(row, STALE.tiers) & ~bitOf(tier));
    this.#tidy();
    return true;
  }

  /** Removes all marks of a tier, and trusts it again. */
  clear(tier: number): void {
    Atomics.and(this.#memory.words, HEAD.distrustedTiers, ~bitOf(tier));
    if (!this.hasAny) return;
    for (let row = 0; row < this.#layout.staleRows; row++) {
      this.#setTiers(row, this.#rows.load(row, STALE.tiers) & ~bitOf(tier));
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
    for (let row = 0; row < this.#layout.staleRows; row++) if (this.#rows.load(row, STALE.tiers) !== 0) keys++;
    this.#memory.atomics.store(HEAD.staleKeys, keys);
  }

  #insert(key: ObjectKey, tier: number): void {
    const [hash, check] = this.#fingerprint(key);
    let row = hash & (this.#layout.staleRows - 1);
    // There are twice as many rows as keys, so that one without bits always exists.
    while (this.#rows.load(row, STALE.tiers) !== 0) row = (row + 1) & (this.#layout.staleRows - 1);
    this.#rows.store(row, STALE.hash, hash);
    this.#rows.store(row, STALE.check, check);
    this.#setTiers(row, bitOf(tier));
  }

  #find(key: ObjectKey): number {
    const [hash, check] = this.#fingerprint(key);
    const mask = this.#layout.staleRows - 1;
    for (let step = 0; step <= mask; step++) {
      const row = (hash + step) & mask;
      const found = this.#rows.load(row, STALE.check);
      if (found === 0) return NONE;
      const isLive = this.#rows.load(row, STALE.tiers) !== 0;
      if (isLive && found === check && this.#rows.load(row, STALE.hash) === hash) return row;
    }
    return NONE;
  }

  /** The second half is never 0, which marks an empty row. */
  #fingerprint(key: ObjectKey): readonly [number, number] {
    return [keyHash(key, this.#seed) | 0, (keyHash(key, ~this.#seed) | 1) | 0];
  }

  #setTiers(row: number, tiers: number): void {
    const before = this.#rows.load(row, STALE.tiers);
    this.#rows.store(row, STALE.tiers, tiers);
    const change = (tiers === 0 ? 0 : 1) - (before === 0 ? 0 : 1);
    if (change !== 0) this.#memory.atomics.add(HEAD.staleKeys, change);
  }

  #tidy(): void {
    if (this.hasAny) return;
    const { at, staleRows } = this.#layout;
    this.#memory.words.fill(0, at.stale, at.stale + staleRows * STALE.words);
  }

  #load(word: number): number {
    return this.#memory.atomics.load(word);
  }
}

function bitOf(tier: number): number {
  return 1 << tier;
}

/**
 * The keys of which one tier holds an outdated copy that could not be deleted. They must not be read from there. All
 * threads share the marks. Only the owner of the tiers changes them; it also remembers the keys' names, to delete the
 * copies at the next opportunity.
 */
export class StaleKeys {
  readonly #table: StaleTable;
  readonly #tier: number;
  readonly #names = new Map<string, ObjectKey>();

  /** `tier`: the tier's index, the same in all threads. */
  constructor(table: StaleTable, tier: number) {
    this.#table = table;
    this.#tier = tier;
  }

  /** True once more keys became stale than can be remembered. */
  get distrusted(): boolean {
    return this.#table.isDistrusted(this.#tier);
  }

  /** True while less than half of the keys that can be remembered are stale. */
  get hasRoom(): boolean {
    return this.#table.hasRoom;
  }

  add(key: ObjectKey): void {
    const id = keyId(key);
    // Deleted first so that it goes behind the others: `first` then tries each in turn.
    this.#names.delete(id);
    if (this.#table.add(key, this.#tier)) this.#names.set(id, key);
  }

  has(key: ObjectKey): boolean {
    return this.#table.has(key, this.#tier);
  }

  /** Remembers the name of a key if an earlier owner has marked it. */
  rememberName(key: ObjectKey): void {
    if (this.has(key)) this.#names.set(keyId(key), key);
  }

  /** Unmarks a key. True if it was stale. */
  remove(key: ObjectKey): boolean {
    if (this.#names.size > 0) this.#names.delete(keyId(key));
    return this.#table.remove(key, this.#tier);
  }

  /** Any stale key whose name is known, for repair. */
  first(): ObjectKey | undefined {
    for (const [id, key] of this.#names) {
      if (this.has(key)) return key;
      this.#names.delete(id);
    }
    return undefined;
  }

  /**
   * Forgets all keys, or those of one tenant whose names are known here. The others' marks do no harm once there is no
   * copy.
   */
  clear(tenant?: string): void {
    if (tenant === undefined) {
      this.#table.clear(this.#tier);
      this.#names.clear();
    }
    for (const key of this.#names.values()) if (key.tenant === tenant) this.remove(key);
  }
}
