/** What has begun and not ended, by request; when there is too much of it, what began first is given up. */
export class Pending<Value> {
  readonly #values = new Map<string, Value>();
  readonly #limit: number;
  #dropped = 0;

  /** `limit`: most that may wait at a time. */
  constructor(limit = 4096) {
    this.#limit = limit;
  }

  /** How many wait, and how many were given up. */
  numbers(): { readonly pending: number; readonly dropped: number } {
    return { pending: this.#values.size, dropped: this.#dropped };
  }

  /** Something begins. */
  add(id: string, value: Value): void {
    if (this.#values.size >= this.#limit) {
      const { value: oldest } = this.#values.keys().next();
      if (oldest !== undefined) this.#values.delete(oldest);
      this.#dropped++;
    }
    this.#values.set(id, value);
  }

  /** What began and has not ended. */
  get(id: string): Value | undefined {
    return this.#values.get(id);
  }

  /** It ends: undefined if its beginning is not known. */
  take(id: string): Value | undefined {
    const value = this.#values.get(id);
    this.#values.delete(id);
    return value;
  }
}
