import { expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import fc from "fast-check";
import type { ObjectKey, ObjectMeta } from "../../../src/core/object.ts";
import type { L2Load } from "../../../src/l2/adapter.ts";
import type { ByteRange } from "../../../src/l2/calls.ts";
import { EncodingAdapter, EncodingReader } from "../../../src/l2/encoding/adapter.ts";
import { Encoder } from "../../../src/l2/encoding/encoder.ts";
import { decodeFrame, encodeFrame, FRAME_BYTES } from "../../../src/l2/encoding/frames.ts";
import { openOwnFolder } from "../../../src/l2/file/adapter.ts";
import { MemoryAdapter } from "../../../src/l2/memory.ts";
import { openReaders } from "../../../src/l2/mod.ts";
import { adapterConformance } from "../conformance.ts";
import { LineAdapter } from "../file/line.ts";
import { fixtures } from "../fixtures.ts";
import { holds, inFolder, key, metaOf, newBench, pattern, readAll, sourceOf } from "../support.ts";
import { encodedMemory, encodingOf, modes } from "./support.ts";

/** Returns bytes whose frames compress, or not, as the flags say. */
function mixed(sizeBytes: number, compressible: readonly boolean[]): Uint8Array<ArrayBuffer> {
  const bytes = pattern(sizeBytes);
  for (const [number, isSimple] of compressible.entries()) {
    if (isSimple) bytes.fill(number, number * FRAME_BYTES, (number + 1) * FRAME_BYTES);
  }
  return bytes;
}

/** A tier that returns one bit of its stored bytes wrong, and does not notice. */
class FlippingTier extends MemoryAdapter {
  flippedBit = -1;

  override async load(at: ObjectKey, range?: ByteRange): Promise<L2Load | undefined> {
    const load = await super.load(at, range);
    return load && { ...load, chunks: this.#flip(load.chunks, range?.start ?? 0) };
  }

  async *#flip(chunks: AsyncIterable<Uint8Array>, start: number): AsyncGenerator<Uint8Array, void, void> {
    let at = start;
    for await (const chunk of chunks) {
      const flipped = (this.flippedBit >> 3) - at;
      chunk[flipped] = (chunk[flipped] ?? 0) ^ (1 << (this.flippedBit & 7));
      at += chunk.length;
      yield chunk;
    }
  }
}

for (const mode of modes) {
  test(`any range of any object is what was stored when the mode is ${mode}`, async () => {
    await inFolder(async (folder) => {
      const encoding = await encodingOf(mode, folder);
      const size = fc.oneof(
        fc.integer({ min: 0, max: 3 * FRAME_BYTES }),
        fc.constantFrom(...[0, 1, 2, 3].flatMap((frames) => [-1, 0, 1].map((more) => frames * FRAME_BYTES + more)))
          .filter((sizeBytes) => sizeBytes >= 0),
      );
      const chunkBytes = fc.constantFrom(1000, 65_536, FRAME_BYTES, 1_000_000);
      await fc.assert(
        fc.asyncProperty(
          size,
          fc.array(fc.boolean(), { maxLength: 4 }),
          chunkBytes,
          fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }))),
          async (sizeBytes, compressible, chunk, parts) => {
            const { adapter } = encodedMemory(encoding);
            const bytes = mixed(sizeBytes, compressible);
            const meta = metaOf(bytes, { contentType: "a/b; c=é", sha256: "abc=", headers: "vitrine-meta-a:\u00ff\n" });
            expect(await adapter.store(key("a", "t"), sourceOf(bytes, { meta, chunkBytes: chunk }))).toEqual(meta);
            expect(await adapter.lookup(key("a", "t"))).toEqual(meta);
            expect(await holds(adapter, key("a", "t"), bytes)).toBe(true);
            for (const [from, to] of parts) {
              const start = Math.floor(Math.min(from, to) * sizeBytes);
              const end = Math.floor(Math.max(from, to) * sizeBytes);
              const load = await adapter.load(key("a", "t"), { start, end });
              expect(load?.meta).toEqual(meta);
              expect(Buffer.compare(await readAll(load) ?? pattern(1), bytes.subarray(start, end))).toBe(0);
            }
          },
        ),
        { numRuns: 40 },
      );
    });
  });

  test(`no wrong byte is returned when any stored bit is flipped and the mode is ${mode}`, async () => {
    await inFolder(async (folder) => {
      const tier = new FlippingTier({ ...newBench(), name: "memory", limitBytes: 0 });
      const adapter = new EncodingAdapter(tier, await encodingOf(mode, folder));
      // One frame that compresses, one that does not, and a third one that does.
      const bytes = mixed(2 * FRAME_BYTES + 5000, [true, false, true]);
      await adapter.store(key("a"), sourceOf(bytes));
      const { sizeBytes = 0 } = await tier.lookup(key("a")) ?? {};
      const anywhere = fc.nat(sizeBytes * 8 - 1);
      const atTheEnds = fc.nat(100).chain((byte) => fc.constantFrom(byte, sizeBytes - 1 - byte).map((at) => at * 8));
      let [right, refused] = [0, 0];
      await fc.assert(
        fc.asyncProperty(fc.oneof(anywhere, atTheEnds), fc.nat(bytes.length), async (bit, start) => {
          tier.flippedBit = bit;
          const range = { start, end: bytes.length };
          try {
            const read = await readAll(await adapter.load(key("a"), range));
            expect(Buffer.compare(read ?? pattern(1), bytes.subarray(start))).toBe(0);
            right += 1;
          } catch (error) {
            expect(error).toMatchObject({ code: "tier_failed" });
            refused += 1;
          }
        }),
        { numRuns: 200 },
      );
      // The wrong bit is not always in what was read.
      expect([right > 10, refused > 10]).toEqual([true, true]);
    });
  });

  test(`a range is loaded without reading the other frames when the mode is ${mode}`, async () => {
    await inFolder(async (folder) => {
      let loadedBytes = 0;
      class CountingTier extends MemoryAdapter {
        override async load(at: ObjectKey, range?: ByteRange): Promise<L2Load | undefined> {
          loadedBytes += (range?.end ?? 0) - (range?.start ?? 0);
          return await super.load(at, range);
        }
      }
      const tier = new CountingTier({ ...newBench(), name: "memory", limitBytes: 0 });
      const adapter = new EncodingAdapter(tier, await encodingOf(mode, folder));
      await adapter.store(key("a"), sourceOf(mixed(20 * FRAME_BYTES, [true])));
      const part = await readAll(
        await adapter.load(key("a"), { start: 10 * FRAME_BYTES + 5, end: 10 * FRAME_BYTES + 9 }),
      );
      expect(part?.length).toBe(4);
      expect(loadedBytes > FRAME_BYTES && loadedBytes < FRAME_BYTES + 200).toBe(true);
    });
  });
}

test("a frame is refused in the place of another one of the same object", async () => {
  const frames = { sizeBytes: 2 * FRAME_BYTES };
  const frame = await encodeFrame(0, new Uint8Array(FRAME_BYTES), { compresses: true, cipher: undefined });
  expect((await decodeFrame(0, frame, frames)).length).toBe(FRAME_BYTES);
  await expect(decodeFrame(1, frame, frames)).rejects.toThrow("frame 1 is not as it was stored");
});

test("what does not compress is stored byte for byte, and what does is smaller", async () => {
  const { inner, adapter } = encodedMemory({ compresses: true });
  const [random, text] = [pattern(FRAME_BYTES), new TextEncoder().encode("the same text again. ".repeat(1000))];
  await adapter.store(key("random"), sourceOf(random));
  const meta = await adapter.store(key("text"), sourceOf(text));
  expect(await inner.lookup(key("random"))).toEqual(await adapter.lookup(key("random")));
  expect(await holds(inner, key("random"), random)).toBe(true);
  expect((await inner.usage()).usedBytes < random.length + text.length / 20).toBe(true);
  expect([meta.sizeBytes, await holds(adapter, key("text"), text)]).toEqual([text.length, true]);
});

test("no more than a frame is read from the source before the tier has taken what came before", async () => {
  await inFolder(async (folder) => {
    let asked = 0;
    async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
      for (; asked < 100; asked += 1) yield pattern(FRAME_BYTES / 4);
    }
    const encoder = new Encoder(key("a"), { chunks: chunks(), meta: () => metaOf(pattern(1)) }, {
      ...await encodingOf("encrypt", folder),
    });
    let taken = 0;
    for await (const part of encoder.encode().chunks) {
      taken += part.length;
      expect(asked * FRAME_BYTES / 4 - taken <= 1.5 * FRAME_BYTES).toBe(true);
      if (asked > 40) break;
    }
  });
});

test("objects stored as they are stay readable when an encoding is turned on", async () => {
  await inFolder(async (folder) => {
    const { inner, adapter } = encodedMemory(await encodingOf("compress and encrypt", folder));
    const bytes = pattern(3 * FRAME_BYTES);
    const meta = await inner.store(key("a"), sourceOf(bytes));
    expect(await adapter.lookup(key("a"))).toEqual(meta);
    expect(await holds(adapter, key("a"), bytes)).toBe(true);
    const part = await readAll(await adapter.load(key("a"), { start: FRAME_BYTES, end: FRAME_BYTES + 9 }));
    expect(Buffer.compare(part ?? pattern(1), bytes.subarray(FRAME_BYTES, FRAME_BYTES + 9))).toBe(0);
  });
});

test("a tier without an encoding reads compressed objects, and says which key an encrypted one needs", async () => {
  await inFolder(async (folder) => {
    const { inner, adapter } = encodedMemory({ compresses: true });
    const plain = new EncodingReader(inner, { compresses: false });
    const bytes = mixed(3 * FRAME_BYTES, [true, true]);
    await adapter.store(key("a"), sourceOf(bytes));
    expect(await holds(plain, key("a"), bytes)).toBe(true);
    const part = await readAll(await plain.load(key("a"), { start: 9, end: FRAME_BYTES + 9 }));
    expect(Buffer.compare(part ?? pattern(1), bytes.subarray(9, FRAME_BYTES + 9))).toBe(0);
    await new EncodingAdapter(inner, await encodingOf("encrypt", folder)).store(key("b"), sourceOf(bytes));
    const refusal = /encrypted with key [0-9a-f]{16}, and the tier has no key-file/;
    await expect(plain.lookup(key("b"))).rejects.toThrow(refusal);
    await expect(plain.load(key("b"))).rejects.toThrow(refusal);
    await expect(plain.load(key("b"), { start: 0, end: 1 })).rejects.toThrow(refusal);
    await expect(plain.list({ tenant: "", prefix: "", after: "", limit: 9 })).rejects.toThrow(refusal);
    expect((await inner.usage()).objects).toBe(2);
  });
});

test("a range is of the object that was looked up last when objects are replaced meanwhile", async () => {
  await inFolder(async (folder) => {
    let seed = 0;
    let replacements = 0;
    /** Replaces the object after each lookup, by one of another size. */
    class BusyTier extends MemoryAdapter {
      override async lookup(at: ObjectKey): Promise<ObjectMeta | undefined> {
        const meta = await super.lookup(at);
        if (replacements > 0) await replace();
        return meta;
      }
    }
    const tier = new BusyTier({ ...newBench(), name: "memory", limitBytes: 0 });
    const adapter = new EncodingAdapter(tier, await encodingOf("compress and encrypt", folder));
    const bytesOf = (number: number) => mixed((9 - number) * FRAME_BYTES, [true, false, true]);
    const replace = async (): Promise<void> => {
      replacements -= 1;
      seed += 1;
      await adapter.store(key("a"), sourceOf(bytesOf(seed)));
    };
    await replace();
    const range = { start: FRAME_BYTES - 5, end: 2 * FRAME_BYTES + 5 };
    replacements = 2;
    const read = await readAll(await adapter.load(key("a"), range));
    expect(Buffer.compare(read ?? pattern(1), bytesOf(3).subarray(range.start, range.end))).toBe(0);
    expect(replacements).toBe(0);
    replacements = 5;
    await expect(adapter.load(key("a"), range)).rejects.toThrow("replaced 5 times");
  });
});

test("small objects are committed in groups as before, up to the limit that leaves room for the encoding", async () => {
  await inFolder(async (folder) => {
    const inner = openOwnFolder({ ...newBench(), name: "fs", path: `${folder}/tier`, limitBytes: 0, sync: false });
    const adapter = new EncodingAdapter(inner.adapter, await encodingOf("compress and encrypt", folder));
    const bytes = pattern(adapter.groupLimitBytes);
    const meta = metaOf(bytes);
    await adapter.storeWhole?.(key("a"), { meta, extents: [bytes], durable: true, assertWanted() {} });
    expect((await inner.adapter.lookup(key("a")))?.sizeBytes).toBe(inner.adapter.groupLimitBytes);
    expect(existsSync(`${folder}/tier/objects`) && readdirSync(`${folder}/tier/objects`).length > 0).toBe(false);
    expect(await adapter.lookup(key("a"))).toEqual(meta);
    expect(await holds(adapter, key("a"), bytes)).toBe(true);
    await adapter.close();
  });
});

test("openReaders reads what the owner of a folder has encoded", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/tier`;
    const owner = new LineAdapter({ ...newBench(), name: "fs", path, limitBytes: 0, sync: false });
    const adapter = new EncodingAdapter(owner, await encodingOf("compress and encrypt", folder));
    const bytes = mixed(3 * FRAME_BYTES, [true]);
    await adapter.store(key("a"), sourceOf(bytes));
    const url = `file://${path}?max=9MiB&encrypt=aes-gcm&key-file=${folder}/keys`;
    const [reader] = await openReaders([url], { ...newBench(), line: owner.line });
    expect(reader !== undefined && await holds(reader, key("a"), bytes)).toBe(true);
    const part = await readAll(await reader?.load(key("a"), { start: FRAME_BYTES + 1, end: FRAME_BYTES + 9 }));
    expect(Buffer.compare(part ?? pattern(1), bytes.subarray(FRAME_BYTES + 1, FRAME_BYTES + 9))).toBe(0);
    await reader?.close();
    await adapter.close();
  });
});

for (const fixture of [fixtures["memory:"], fixtures["file:"]]) {
  for (const mode of modes) {
    adapterConformance({
      ...fixture,
      name: `${fixture.name}, ${mode}`,
      storedBytes: (sizeBytes) => mode === "compress" ? sizeBytes : sizeBytes + 24,
      open: async (folder, options) => {
        const encoding = await inFolder((keyFolder) => encodingOf(mode, keyFolder));
        return new EncodingAdapter(await fixture.open(folder, options), encoding);
      },
    });
  }
}
