import { expect, test } from "bun:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { BlockChecksums } from "../../../src/l2/file/writer.ts";
import { BLOCK_BYTES } from "../../../src/l2/file/format.ts";
import { pattern } from "../support.ts";

const longest = 3 * BLOCK_BYTES + 5;
const payload = pattern(longest);

/** Some length near a multiple of a block or anywhere, and how long the chunks are. */
const cases = fc.tuple(
  fc.oneof(
    fc.integer({ min: 0, max: longest }),
    fc.constantFrom(0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES),
  ),
  fc.array(fc.integer({ min: 1, max: 2 * BLOCK_BYTES }), { minLength: 1, maxLength: 5 }),
);

test("BlockChecksums gives the CRC-32 of each block and of the whole however the bytes come", () => {
  fc.assert(
    fc.property(cases, ([length, chunks]) => {
      const checksums = new BlockChecksums();
      for (let at = 0, turn = 0; at < length; turn += 1) {
        const end = Math.min(length, at + (chunks[turn % chunks.length] ?? 1) + 4096);
        checksums.add(payload.subarray(at, end));
        at = end;
      }
      const blocks: number[] = [];
      for (let at = 0; at < length; at += BLOCK_BYTES) {
        blocks.push(crc32(payload.subarray(at, Math.min(length, at + BLOCK_BYTES))));
      }
      expect(checksums.blocks).toEqual(blocks);
      expect(checksums.whole).toBe(crc32(payload.subarray(0, length)));
    }),
    { numRuns: 30 },
  );
});
