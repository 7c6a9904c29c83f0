/**
 * What was last known of each of the most recently used keys: a map that forgets the key that was set longest ago when
 * it is full.
 */
export class RecentKeys<Value> {
  readonly #values = new Map<string, Value>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: string): Value | undefined {
    return this.#values.get(key);
  }

  /** Makes the key the most recent one. */
  set(key: string, value: Value): void {
    this.#values.delete(key);
    this.#values.set(key, value);
    if (this.#values.size > this.#limit) this.#values.delete(this.#oldest()?.[0] ?? key);
  }

  /** Takes a key's value out. */
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
