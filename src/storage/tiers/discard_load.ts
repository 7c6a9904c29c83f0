import type { L2Load } from "../../l2/adapter.ts";

/** Frees what a load holds whose bytes nobody will read. Never throws. */
export async function discardLoad(load: L2Load): Promise<void> {
  try {
    await load.chunks[Symbol.asyncIterator]().return?.();
  } catch {
    // A tier that cannot even let go has nothing left that a reader could use.
  }
}
