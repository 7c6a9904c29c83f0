import type { StoreSource } from "./adapter.ts";

/** A store's source that remembers what it threw itself, so that a client's failure is told from the tier's. */
export interface WatchedSource {
  readonly source: StoreSource;
  /** Whether this error came out of the source. */
  threw(error: unknown): boolean;
}

/** Watches a source. */
export function watchSource(source: StoreSource): WatchedSource {
  let thrown: { readonly error: unknown } | undefined;
  async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
    try {
      yield* source.chunks;
    } catch (error) {
      thrown = { error };
      throw error;
    }
  }
  function noting<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      thrown = { error };
      throw error;
    }
  }
  return {
    source: {
      ...source,
      chunks: chunks(),
      meta: () => noting(() => source.meta()),
      assertWanted: () => noting(() => source.assertWanted?.()),
    },
    threw: (error) => thrown !== undefined && thrown.error === error,
  };
}
