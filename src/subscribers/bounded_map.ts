/**
 * A map of limited size: when it is full, the key that was set longest ago is dropped.
 */
export class BoundedMap<Value> {
  readonly #values = new Map<string, Value>();
  readonly #limit: number;
  #dropped = 0;

  /** `limit`: maximum number of keys. */
  constructor(limit = 4096) {
    this.#limit = limit;
  }

  /** The number of keys, and of keys that were dropped. */
  numbers(): { readonly pending: number; readonly dropped: number } {
    return { pending: this.#values.size, dropped: this.#dropped };
  }

  get(key: string): Value | undefined {
    return this.#values.get(key);
  }

  /** Sets a value and makes its key the most recent one. */
  set(key: string, value: Value): void {
    this.#values.delete(key);
    if (this.#values.size >= this.#limit) {
      this.take(this.#oldest()?.[0] ?? key);
      this.#dropped++;
    }
    this.#values.set(key, value);
  }

  /** Removes a key and returns its value; undefined if there is none. */
  take(key: string): Value | undefined {
    const value = this.#values.get(key);
    this.#values.delete(key);
    return value;
  }

  /** Removes the key that was set longest ago and returns its value, if the predicate holds for the value. */
  takeOldestIf(isSuch: (value: Value) => boolean): Value | undefined {
    const oldest = this.#oldest();
    return oldest !== undefined && isSuch(oldest[1]) ? this.take(oldest[0]) : undefined;
  }

  #oldest(): [string, Value] | undefined {
    const { value } = this.#values.entries().next();
    return value;
  }
}
