import { expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { causeText } from "../../../src/core/errors.ts";
import type { ObjectMeta } from "../../../src/core/object.ts";
import { EncodingAdapter } from "../../../src/l2/encoding/adapter.ts";
import { KeyRing } from "../../../src/l2/encoding/cipher.ts";
import { FRAME_BYTES } from "../../../src/l2/encoding/frames.ts";
import type { MemoryAdapter } from "../../../src/l2/memory.ts";
import { checkTiers, openTiers } from "../../../src/l2/mod.ts";
import { holds, inFolder, key, metaOf, newBench, pattern, readAll, sourceOf } from "../support.ts";
import { encodedMemory, keyFile, keyLines } from "./support.ts";

const FRAME = FRAME_BYTES + 24;

async function encryption(folder: string, ...lines: readonly string[]) {
  return { compresses: false, keys: await KeyRing.open(keyFile(folder, ...lines)) };
}

async function storedBytes(inner: MemoryAdapter, name: string): Promise<Uint8Array> {
  return await readAll(await inner.load(key(name))) ?? new Uint8Array();
}

/** Stores bytes in the tier as if they had been encoded, with the metadata of an encoded object. */
async function forge(inner: MemoryAdapter, name: string, forged: { bytes: Uint8Array; meta: ObjectMeta | undefined }) {
  const bytes = new Uint8Array(forged.bytes);
  const { sizeBytes, crc32 } = metaOf(bytes);
  await inner.store(key(name), sourceOf(bytes, { meta: { ...forged.meta, sizeBytes, crc32 } }));
}

test("nothing of an object is readable in the tier but its key, size and times when it is encrypted", async () => {
  await inFolder(async (folder) => {
    const { inner, adapter } = encodedMemory(await encryption(folder, keyLines.hex));
    const bytes = new TextEncoder().encode("secret ".repeat(100));
    const meta = metaOf(bytes, { contentType: "text/x-secret", sha256: "secret=", headers: "vitrine-meta-a:secret\n" });
    await adapter.store(key("a"), sourceOf(bytes, { meta }));
    const stored = await inner.lookup(key("a"));
    expect(JSON.stringify(stored)).not.toContain("secret");
    expect(stored).toMatchObject({ version: meta.version, createdMs: meta.createdMs, expiresMs: 0, contentType: "" });
    expect(Buffer.from(await storedBytes(inner, "a")).includes("secret")).toBe(false);
    expect(stored?.headers).not.toContain(String(meta.crc32));
  });
});

test("two stores of the same bytes share none of their encrypted bytes", async () => {
  await inFolder(async (folder) => {
    const { inner, adapter } = encodedMemory(await encryption(folder, keyLines.hex));
    const stored: Buffer[] = [];
    for (const name of ["a", "a", "b"]) {
      await adapter.store(key(name), sourceOf(new Uint8Array(2 * FRAME_BYTES)));
      const bytes = Buffer.from(await storedBytes(inner, name));
      stored.push(bytes.subarray(8, 8 + 64), bytes.subarray(FRAME + 8, FRAME + 8 + 64));
    }
    expect(new Set(stored.map((bytes) => bytes.toString("hex"))).size).toBe(6);
  });
});

test("an object is refused when its stored bytes or metadata are another's, moved, swapped or cut", async () => {
  await inFolder(async (folder) => {
    const { inner, adapter } = encodedMemory(await encryption(folder, keyLines.hex));
    await adapter.store(key("a"), sourceOf(pattern(2 * FRAME_BYTES)));
    await adapter.store(key("b"), sourceOf(pattern(2 * FRAME_BYTES, 2)));
    const [bytes, meta] = [await storedBytes(inner, "a"), await inner.lookup(key("a"))];
    const otherBytes = await storedBytes(inner, "b");
    const swapped = Buffer.concat([bytes.subarray(FRAME), bytes.subarray(0, FRAME)]);
    const cut = bytes.subarray(0, FRAME);
    for (
      const [name, forged] of [
        ["c", { bytes, meta }],
        ["a", { bytes: otherBytes, meta }],
        ["a", { bytes: swapped, meta }],
        ["a", { bytes: cut, meta }],
        ["a", { bytes: Buffer.concat([bytes, bytes.subarray(FRAME)]), meta }],
        ["a", { bytes, meta: meta && { ...meta, version: meta.version + 1 } }],
        ["a", { bytes, meta: meta && { ...meta, expiresMs: 9_999_999_999_999 } }],
      ] as const
    ) {
      await forge(inner, name, forged);
      await expect(adapter.lookup(key(name))).rejects.toThrow("not what was stored under this key");
      await expect(adapter.load(key(name)).then(readAll)).rejects.toThrow("not what was stored under this key");
    }
    await forge(inner, "a", { bytes, meta });
    expect(await holds(adapter, key("a"), pattern(2 * FRAME_BYTES))).toBe(true);
  });
});

test("tenants have keys of their own", async () => {
  await inFolder(async (folder) => {
    const { inner, adapter } = encodedMemory(await encryption(folder, keyLines.hex));
    await adapter.store(key("a", "one"), sourceOf(pattern(100)));
    const meta = await inner.lookup(key("a", "one"));
    const bytes = new Uint8Array(await readAll(await inner.load(key("a", "one"))) ?? []);
    await inner.store(key("a", "two"), sourceOf(bytes, meta === undefined ? {} : { meta }));
    expect(await holds(adapter, key("a", "one"), pattern(100))).toBe(true);
    await expect(adapter.lookup(key("a", "two"))).rejects.toThrow("not what was stored under this key");
  });
});

test("the newest key writes, all keys read, and a key that is added later is found", async () => {
  await inFolder(async (folder) => {
    const { inner, adapter: old } = encodedMemory(await encryption(folder, keyLines.hex));
    await old.store(key("old"), sourceOf(pattern(100)));
    const rotated = new EncodingAdapter(
      inner,
      await encryption(folder, "# rotated", keyLines.hex, "", keyLines.base64),
    );
    await rotated.store(key("new"), sourceOf(pattern(200)));
    const idOf = async (name: string) => (await inner.lookup(key(name)))?.headers?.split(" ")[1];
    expect(await idOf("old")).not.toBe(await idOf("new"));
    // The first adapter read the file when it had one key only.
    for (const adapter of [rotated, old]) {
      expect(await holds(adapter, key("old"), pattern(100))).toBe(true);
      expect(await holds(adapter, key("new"), pattern(200))).toBe(true);
    }
    await rotated.store(key("old"), sourceOf(pattern(300)));
    expect(await idOf("old")).toBe(await idOf("new"));
  });
});

test("a wrong or missing key is an error that names the key, and the object stays", async () => {
  await inFolder(async (folder) => {
    const { inner, adapter } = encodedMemory(await encryption(folder, keyLines.hex));
    await adapter.store(key("a"), sourceOf(pattern(100)));
    const other = new EncodingAdapter(inner, await encryption(folder, keyLines.base64));
    await expect(other.lookup(key("a"))).rejects.toThrow(`is not in ${folder}/keys`);
    await expect(other.load(key("a"))).rejects.toThrow(`is not in ${folder}/keys`);
    await expect(other.load(key("a"), { start: 0, end: 1 })).rejects.toThrow(`is not in ${folder}/keys`);
    rmSync(`${folder}/keys`);
    await expect(other.lookup(key("a"))).rejects.toThrow("read key file");
    keyFile(folder, keyLines.base64, keyLines.hex);
    expect(await holds(other, key("a"), pattern(100))).toBe(true);
    // Without its key an object can still be replaced and deleted.
    expect(await new EncodingAdapter(inner, { compresses: false }).delete(key("a"))).toBe(true);
  });
});

test("a key file that cannot be used is named with its line, and nothing in it is printed", async () => {
  await inFolder(async (folder) => {
    const short = "0123456789abcdef".repeat(3);
    for (
      const [lines, why] of [[["# none"], "no key"], [[keyLines.hex, short], "line 2"], [
        ["é".repeat(64)],
        "line 1",
      ]] as const
    ) {
      const text = await KeyRing.open(keyFile(folder, ...lines)).then(() => "", causeText);
      expect(text).toContain(why);
      expect(text).toContain(folder);
      for (const line of lines) expect(text).not.toContain(line);
    }
    const opening = openTiers([`memory:?encrypt=aes-gcm&key-file=${folder}/none`], newBench());
    expect(await opening.then(() => "", causeText)).toContain("ENOENT");
  });
});

test("the parameters of a tier's URL turn the encodings on, for its owner and its readers", async () => {
  await inFolder(async (folder) => {
    writeFileSync(`${folder}/keys`, keyLines.hex);
    const url = (parameters: string) => `file://${folder}/tier?max=9MiB${parameters}`;
    const bytes = new TextEncoder().encode("some text ".repeat(100_000));
    const opened = async (parameters: string) => {
      const [tier] = await openTiers([url(parameters)], newBench());
      if (tier === undefined) throw new Error("open tier: none");
      return tier;
    };
    for (const parameters of ["&compress=zstd", `&compress=zstd&encrypt=aes-gcm&key-file=${folder}/keys`]) {
      const tier = await opened(parameters);
      await tier.store(key("a"), sourceOf(bytes));
      expect(await holds(tier, key("a"), bytes)).toBe(true);
      expect(((await tier.usage())?.usedBytes ?? Infinity) < bytes.length / 100).toBe(true);
      await tier.close();
    }
    const without = await opened("");
    await expect(without.lookup(key("a"))).rejects.toThrow("no key-file");
    await without.close();
  });
});

for (
  const [parameters, why] of [
    ["compress=gzip", "gzip"],
    ["encrypt=rot13&key-file=/x", "rot13"],
    ["encrypt=aes-gcm", "key-file"],
    ["encrypt=aes-gcm&key-file=", "key-file"],
    ["key-file=/x", "encrypt"],
  ] as const
) {
  test(`checkTiers refuses a tier with ${parameters}`, () => {
    expect(() => checkTiers([`memory:?${parameters}`], 1)).toThrow(why);
  });
}
