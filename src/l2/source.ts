import type { StoreSource } from "./adapter.ts";

/** A store's source that remembers its own error, so that a client's failure can be told apart from the tier's. */
export interface WatchedSource {
  readonly source: StoreSource;
  /** True if the source threw this error. */
  threw(error: unknown): boolean;
}

/** Wraps a source so that its own errors can be recognised. */
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
