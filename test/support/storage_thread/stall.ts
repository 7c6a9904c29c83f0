import type { ObjectKey } from "../../../src/core/key.ts";
import type { L2Adapter, L2Load } from "../../../src/l2/adapter.ts";

/** Keys whose calls never come back: a store before its last step, a load after its first chunk. */
export interface Stalls {
  readonly stores: ReadonlySet<string>;
  readonly loads: ReadonlySet<string>;
  /** Told when a call hangs. */
  readonly onStall: (name: string) => void;
}

/** The same adapter, hanging for some keys, like a disk that does not answer. */
export function stall(inner: L2Adapter, stalls: Stalls): L2Adapter {
  const hang = (key: ObjectKey): Promise<never> => {
    stalls.onStall(key.key);
    return new Promise(() => {});
  };
  async function* firstChunk(load: L2Load, key: ObjectKey): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of load.chunks) {
      yield chunk;
      await hang(key);
    }
  }
  async function* allBut(chunks: AsyncIterable<Uint8Array>, key: ObjectKey): AsyncGenerator<Uint8Array, void, void> {
    yield* chunks;
    await hang(key);
  }
  return {
    name: inner.name,
    lookup: (key) => inner.lookup(key),
    async load(key, range) {
      const load = await inner.load(key, range);
      return load === undefined || !stalls.loads.has(key.key)
        ? load
        : { meta: load.meta, chunks: firstChunk(load, key) };
    },
    store: (key, source) =>
      inner.store(key, stalls.stores.has(key.key) ? { ...source, chunks: allBut(source.chunks, key) } : source),
    delete: (key) => inner.delete(key),
    clear: (tenant, onInvisible) => inner.clear(tenant, onInvisible),
    list: (query) => inner.list(query),
    usage: () => inner.usage(),
    close: () => inner.close(),
  };
}
