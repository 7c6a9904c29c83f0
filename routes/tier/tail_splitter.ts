import { MAX_TAIL_BYTES, type PutTail, splitTail } from "../../src/core/tier_protocol.ts";

/** Separates the end of a body, which says what the object is, from the bytes before it, as they arrive. */
export class TailSplitter {
  /** The last bytes that have come, up to the size of the largest tail. */
  #held = new Uint8Array(0);

  /** Takes the next bytes; returns those that are certainly the object's, in order. */
  push(chunk: Uint8Array): readonly Uint8Array[] {
    const surplus = this.#held.length + chunk.length - MAX_TAIL_BYTES;
    if (surplus <= 0) {
      this.#held = joined(this.#held, chunk);
      return [];
    }
    const fromHeld = Math.min(surplus, this.#held.length);
    const certain = [this.#held.subarray(0, fromHeld), chunk.subarray(0, surplus - fromHeld)];
    this.#held = joined(this.#held.subarray(fromHeld), chunk.subarray(surplus - fromHeld));
    return certain.filter(({ length }) => length > 0);
  }

  /** The last bytes of the object, and the tail; undefined if there is no sound one. */
  end(): { readonly rest: Uint8Array<ArrayBuffer>; readonly tail: PutTail } | undefined {
    return splitTail(this.#held);
  }
}

/** The bytes of both, in memory of their own. */
function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
