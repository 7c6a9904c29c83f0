/**
 * What was last known of each of the most recent keys: when there are too many, the one that was set longest ago goes.
 */
export class BoundedMap<Value> {
  readonly #values = new Map<string, Value>();
  readonly #limit: number;
  #dropped = 0;

  /** `limit`: the most keys that it holds. */
  constructor(limit = 4096) {
    this.#limit = limit;
  }

  /** How many keys it holds, and how many had to go. */
  numbers(): { readonly pending: number; readonly dropped: number } {
    return { pending: this.#values.size, dropped: this.#dropped };
  }

  get(key: string): Value | undefined {
    return this.#values.get(key);
  }

  /** Makes the key the most recent one. */
  set(key: string, value: Value): void {
    this.#values.delete(key);
    if (this.#values.size >= this.#limit) {
      this.take(this.#oldest()?.[0] ?? key);
      this.#dropped++;
    }
    this.#values.set(key, value);
  }

  /** Takes a key's value out; undefined if it is not known. */
  take(key: string): Value | undefined {
    const value = this.#values.get(key);
    this.#values.delete(key);
    return value;
  }

  /** Takes out the key that was set longest ago, if its value is such. */
  takeOldestIf(isSuch: (value: Value) => boolean): Value | undefined {
    const oldest = this.#oldest();
    return oldest !== undefined && isSuch(oldest[1]) ? this.take(oldest[0]) : undefined;
  }

  #oldest(): [string, Value] | undefined {
    const { value } = this.#values.entries().next();
    return value;
  }
}
