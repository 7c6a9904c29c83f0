import { keyId, type ObjectKey } from "../../core/key.ts";

/**
 * The keys of which one tier holds an outdated copy that could not be deleted. They must not be read from there.
 * At most `limit` keys are kept; beyond that the whole tier is distrusted until it is cleared.
 */
export class StaleKeys {
  readonly #keys = new Map<string, ObjectKey>();
  readonly #limit: number;
  #distrusted = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** True once more keys went stale than are remembered. */
  get distrusted(): boolean {
    return this.#distrusted;
  }

  add(key: ObjectKey): void {
    const id = keyId(key);
    // Deleted first, so that it goes behind the others and `first` tries each in turn.
    this.#keys.delete(id);
    if (this.#keys.size < this.#limit) this.#keys.set(id, key);
    else this.#distrusted = true;
  }

  has(key: ObjectKey): boolean {
    return this.#keys.size > 0 && this.#keys.has(keyId(key));
  }

  /** True if the key was stale. */
  remove(key: ObjectKey): boolean {
    return this.#keys.size > 0 && this.#keys.delete(keyId(key));
  }

  /** Any stale key, for repair. */
  first(): ObjectKey | undefined {
    return this.#keys.values().next().value;
  }

  /** Forgets all, or one tenant's. */
  clear(tenant?: string): void {
    if (tenant === undefined) this.#distrusted = false;
    for (const [id, key] of this.#keys) {
      if (tenant === undefined || key.tenant === tenant) this.#keys.delete(id);
    }
  }
}
