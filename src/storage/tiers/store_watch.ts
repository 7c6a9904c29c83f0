import type { StoreSource, WholeObject } from "../../l2/adapter.ts";

/** Notes what becomes of the source of a store. */
export class StoreWatch {
  /** What the source threw, so that it is not taken for a broken tier. */
  broken: { readonly cause: unknown } | undefined;
  /** From here on the object may be visible. */
  isCommitting = false;
  readonly #beforeCommit: () => void;

  /** `beforeCommit` throws if this thread may not store any more. */
  constructor(beforeCommit: () => void) {
    this.#beforeCommit = beforeCommit;
  }

  object(object: WholeObject): WholeObject {
    const { meta, extents, durable } = object;
    return { meta, extents, durable, assertWanted: () => this.#commit(() => object.assertWanted()) };
  }

  source(source: StoreSource): StoreSource {
    return {
      ...source,
      chunks: this.#chunks(source),
      meta: () => this.#noting(() => source.meta()),
      assertWanted: () => this.#commit(() => source.assertWanted?.()),
    };
  }

  async *#chunks(source: StoreSource): AsyncGenerator<Uint8Array, void, void> {
    try {
      yield* source.chunks;
    } catch (cause) {
      this.broken ??= { cause };
      throw cause;
    }
  }

  #commit(assertWanted: () => void): void {
    this.#noting(assertWanted);
    this.isCommitting = true;
  }

  #noting<T>(call: () => T): T {
    try {
      this.#beforeCommit();
      return call();
    } catch (cause) {
      this.broken ??= { cause };
      throw cause;
    }
  }
}
