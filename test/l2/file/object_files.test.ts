import { expect, test } from "bun:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import type { DiskFile } from "../../../src/l2/file/disk.ts";
import { BLOCK_BYTES } from "../../../src/l2/file/layout.ts";
import { BlockChecksums, ObjectWriter, WriteBuffers, type WriterRoom } from "../../../src/l2/file/object_files.ts";
import { key, metaOf, pattern } from "../support.ts";

const MIB = 1024 ** 2;

/** A file in memory that notes how long each write was; a write takes a turn, as on a disk. */
class FakeFile implements DiskFile {
  readonly writes: number[] = [];
  bytes = new Uint8Array(0);

  async write(bytes: Uint8Array, position: number): Promise<void> {
    await Promise.resolve();
    const longer = new Uint8Array(Math.max(this.bytes.length, position + bytes.length));
    longer.set(this.bytes);
    longer.set(bytes, position);
    this.bytes = longer;
    this.writes.push(bytes.length);
  }

  read(): Promise<number> {
    return Promise.resolve(0);
  }

  async sync(): Promise<void> {}

  async close(): Promise<void> {}
}

/** Room that notes what was asked for. */
class FakeRoom implements WriterRoom {
  readonly asked: number[] = [];

  hold(bytes: number, heldBytes: number): Promise<number> {
    this.asked.push(bytes);
    return Promise.resolve(heldBytes + bytes);
  }

  relieve(): Promise<boolean> {
    return Promise.resolve(false);
  }
}

async function* chunksOf(payload: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array, void, void> {
  // Each chunk in the same memory, as a source may do it.
  const buffer = new Uint8Array(Math.max(1, ...sizes));
  let at = 0;
  for (const size of sizes) {
    buffer.set(payload.subarray(at, at + size));
    yield buffer.subarray(0, size);
    at += size;
  }
}

const sizes = fc.array(
  fc.oneof(fc.constantFrom(1, 100, 4096, 65_536, MIB - 1, MIB, MIB + 4096, 2 * MIB), fc.nat(MIB)),
  { maxLength: 6 },
);

test("ObjectWriter writes a payload's bytes in order whatever the sizes of its chunks", async () => {
  const buffers = new WriteBuffers();
  await fc.assert(
    fc.asyncProperty(sizes, fc.boolean(), async (chunkSizes, isAnnounced) => {
      const payload = pattern(chunkSizes.reduce((sum, size) => sum + size, 0));
      const [file, room] = [new FakeFile(), new FakeRoom()];
      const meta = metaOf(payload);
      const writer = new ObjectWriter(file, { room, buffers });
      const { fileBytes } = await writer.write(key("a"), {
        chunks: chunksOf(payload, chunkSizes),
        ...(isAnnounced ? { sizeBytes: payload.length } : {}),
        meta: () => meta,
      });
      expect(file.bytes.length).toBe(fileBytes);
      expect(crc32(file.bytes.subarray(0, payload.length))).toBe(meta.crc32);
      expect(writer.heldBytes).toBeGreaterThanOrEqual(fileBytes);
    }),
    { numRuns: 40 },
  );
});

test("ObjectWriter asks for room once and writes once when an object of up to 1 MiB lies in memory in pieces", async () => {
  const chunkSizes = [65_536, 65_536, 131_072, 262_144, 524_288];
  const payload = pattern(MIB);
  const meta = metaOf(payload);
  const [file, room] = [new FakeFile(), new FakeRoom()];
  const writer = new ObjectWriter(file, { room, buffers: new WriteBuffers() });
  const source = { chunks: chunksOf(payload, chunkSizes), sizeBytes: MIB, atHand: meta, meta: () => meta };
  const { fileBytes } = await writer.write(key("a"), source);
  expect(file.writes).toEqual([fileBytes]);
  expect(room.asked).toEqual([fileBytes]);
});

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
