import { keyId, type ObjectKey } from "../../core/key.ts";
import type { StaleTable } from "../shared/stale_table.ts";

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
  met(key: ObjectKey): void {
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
