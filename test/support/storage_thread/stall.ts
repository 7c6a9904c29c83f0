import type { ObjectKey } from "../../../src/core/object.ts";
import type { L2Adapter, L2Load, L2Reader } from "../../../src/l2/adapter.ts";

/** Keys whose calls never come back. */
export interface Stalls {
  readonly keys: ReadonlySet<string>;
  /** Called when a call hangs. */
  readonly onStall: (name: string) => void;
}

/** The same tier, whose loads of some keys hang after the first chunk, like a disk that does not answer. */
export function stallLoads(inner: L2Reader, stalls: Stalls): L2Reader {
  async function* firstChunk(load: L2Load, key: ObjectKey): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of load.chunks) {
      yield chunk;
      await hang(stalls, key);
    }
  }
  return {
    name: inner.name,
    lookup: (key) => inner.lookup(key),
    has: (keys, onProgress) => inner.has(keys, onProgress),
    async load(key, range) {
      const load = await inner.load(key, range);
      return load === undefined || !stalls.keys.has(key.key)
        ? load
        : { meta: load.meta, chunks: firstChunk(load, key) };
    },
    list: (query) => inner.list(query),
    usage: () => inner.usage(),
    close: () => inner.close(),
  };
}

/** The same tier, whose stores of some keys hang before their last step. */
export function stallStores(inner: L2Adapter, stalls: Stalls): L2Adapter {
  async function* allBut(chunks: AsyncIterable<Uint8Array>, key: ObjectKey): AsyncGenerator<Uint8Array, void, void> {
    yield* chunks;
    await hang(stalls, key);
  }
  return {
    name: inner.name,
    lookup: (key) => inner.lookup(key),
    has: (keys, onProgress) => inner.has(keys, onProgress),
    load: (key, range) => inner.load(key, range),
    store: (key, source) =>
      inner.store(key, stalls.keys.has(key.key) ? { ...source, chunks: allBut(source.chunks, key) } : source),
    delete: (key) => inner.delete(key),
    clear: (tenant, onInvisible) => inner.clear(tenant, onInvisible),
    list: (query) => inner.list(query),
    usage: () => inner.usage(),
    close: () => inner.close(),
  };
}

function hang({ onStall }: Stalls, key: ObjectKey): Promise<never> {
  onStall(key.key);
  return new Promise(() => {});
}
