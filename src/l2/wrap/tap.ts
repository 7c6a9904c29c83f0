import type { L2Adapter } from "../adapter.ts";

/** The adapter, telling of every chunk that its loads hand out how many bytes of private memory it is. */
export function tapLoads(inner: L2Adapter, onChunk: (bytes: number) => void): L2Adapter {
  return {
    name: inner.name,
    lookup: (key) => inner.lookup(key),
    async load(key, range) {
      const load = await inner.load(key, range);
      return load === undefined ? undefined : { meta: load.meta, chunks: tapped(load.chunks, onChunk) };
    },
    store: (key, source) => inner.store(key, source),
    delete: (key) => inner.delete(key),
    clear: (tenant) => inner.clear(tenant),
    list: (query) => inner.list(query),
    usage: () => inner.usage(),
    close: () => inner.close(),
  };
}

/** Not a generator: one that was never begun would not pass `return` on. */
function tapped(chunks: AsyncIterable<Uint8Array>, onChunk: (bytes: number) => void): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const inner = chunks[Symbol.asyncIterator]();
      return {
        async next() {
          const result = await inner.next();
          if (result.done !== true) onChunk(result.value.byteLength);
          return result;
        },
        return: async () => await inner.return?.() ?? { done: true, value: undefined },
      };
    },
  };
}
