import { expect, test } from "bun:test";
import fc from "fast-check";
import { TailSplitter } from "../../routes/tier/tail_splitter.ts";
import { encodeTail, MAX_TAIL_BYTES } from "../../src/core/tier_protocol.ts";
import { metaOf, pattern } from "../l2/support.ts";

test("TailSplitter separates bytes and tail wherever the body is cut", () => {
  const edges = [0, 1, MAX_TAIL_BYTES - 200, MAX_TAIL_BYTES, MAX_TAIL_BYTES + 1, 3 * MAX_TAIL_BYTES + 7];
  const pieces = fc.array(fc.constantFrom(1, 100, 4096, MAX_TAIL_BYTES, 2 * MAX_TAIL_BYTES), { minLength: 1 });
  fc.assert(fc.property(fc.constantFrom(...edges), pieces, (sizeBytes, sizes) => {
    const bytes = pattern(sizeBytes);
    const meta = metaOf(bytes);
    const body = Buffer.concat([bytes, encodeTail({ meta })]);
    const splitter = new TailSplitter();
    const taken: Uint8Array[] = [];
    for (let [at, turn] = [0, 0]; at < body.length; turn += 1) {
      // Few cuts of one byte: the last piece takes the rest.
      const length = turn < 50 ? sizes[turn % sizes.length] ?? 1 : body.length;
      taken.push(...splitter.push(body.subarray(at, at + length)).map((part) => part.slice()));
      at += length;
    }
    const end = splitter.end();
    expect(end?.tail).toEqual({ meta });
    expect(Buffer.compare(Buffer.concat([...taken, end?.rest ?? new Uint8Array(1)]), bytes)).toBe(0);
    expect(taken.every(({ length }) => length > 0)).toBe(true);
  }));
});
