import { keyId, type ObjectKey } from "../../core/key.ts";
import type { StaleTable } from "../shared/stale_table.ts";

/**
 * The keys of which one tier holds an outdated copy that could not be deleted. They must not be read from there. All
 * threads share the marks; the owner of the tiers, who alone changes them, remembers the names of the keys, to delete
 * the copies with the next chance.
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

  /** True once more keys went stale than are remembered. */
  get distrusted(): boolean {
    return this.#table.isDistrusted(this.#tier);
  }

  add(key: ObjectKey): void {
    const id = keyId(key);
    // Deleted first, so that it goes behind the others and `first` tries each in turn.
    this.#names.delete(id);
    if (this.#table.add(key, this.#tier)) this.#names.set(id, key);
  }

  has(key: ObjectKey): boolean {
    return this.#table.has(key, this.#tier);
  }

  /** There may be such a key: one that an earlier owner marked is remembered by its name. */
  met(key: ObjectKey): void {
    if (this.has(key)) this.#names.set(keyId(key), key);
  }

  /** True if the key was stale. */
  remove(key: ObjectKey): boolean {
    if (this.#names.size > 0) this.#names.delete(keyId(key));
    return this.#table.remove(key, this.#tier);
  }

  /** Any of them whose name is known, for repair. */
  first(): ObjectKey | undefined {
    for (const [id, key] of this.#names) {
      if (this.has(key)) return key;
      this.#names.delete(id);
    }
    return undefined;
  }

  /**
   * Forgets all, or of one tenant's those whose names are known here: the others' marks do no harm where there is no
   * copy any more.
   */
  clear(tenant?: string): void {
    if (tenant === undefined) {
      this.#table.clear(this.#tier);
      this.#names.clear();
    }
    for (const key of this.#names.values()) if (key.tenant === tenant) this.remove(key);
  }
}
