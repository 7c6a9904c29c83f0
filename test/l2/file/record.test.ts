import { expect, test } from "bun:test";
import fc from "fast-check";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  decodeRecord,
  decodeSegmentHeader,
  encodeRecord,
  newSegmentHeader,
  type RecordHead,
  SEGMENT_FORMAT,
} from "../../../src/l2/file/store/record.ts";
import { VitrineError } from "../../../src/core/errors.ts";
import { flipBit, loseIndex, withFolder } from "./folder.ts";
import { holds, key, metaOf, pattern, readAll, sourceOf } from "../support.ts";

const text = fc.string({ unit: "grapheme", maxLength: 40 });
const head: fc.Arbitrary<RecordHead> = fc.oneof(
  fc.record({ tenant: text, key: text, sizeBytes: fc.nat(5000), contentType: text }).map((each) => ({
    kind: "object" as const,
    key: key(each.key, each.tenant),
    meta: metaOf(pattern(each.sizeBytes), { contentType: each.contentType }),
  })),
  fc.record({ tenant: text, key: text }).map((each) => ({
    kind: "tombstone" as const,
    key: key(each.key, each.tenant),
  })),
  fc.option(text, { nil: undefined }).map((tenant) => ({ kind: "clear" as const, tenant })),
  fc.record({ tenant: text, key: text, fileBytes: fc.nat() }).map((each) => ({
    kind: "file" as const,
    key: key(each.key, each.tenant),
    meta: metaOf(pattern(9)),
    fileBytes: each.fileBytes,
  })),
);

test("decodeRecord gives back what encodeRecord was given, whatever follows", () => {
  fc.assert(
    fc.property(head, fc.uint8Array({ maxLength: 20 }), (each, rest) => {
      const bytes = encodeRecord(each);
      const found = decodeRecord(Buffer.concat([bytes, rest]));
      expect(found?.head).toEqual(each);
      expect(found?.headBytes).toBe(bytes.length);
      expect(found?.payloadBytes).toBe(each.kind === "object" ? each.meta.sizeBytes : 0);
    }),
    { numRuns: 100 },
  );
});

test("decodeRecord refuses a head in which any bit is flipped, or of which any byte is missing", () => {
  const bytes = encodeRecord({ kind: "object", key: key("a", "t"), meta: metaOf(pattern(10)) });
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const damaged = bytes.slice();
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(decodeRecord(damaged)).toBe(undefined);
  }
  for (let length = 0; length < bytes.length; length += 1) {
    expect(decodeRecord(bytes.subarray(0, length))).toBe(undefined);
  }
});

test("decodeSegmentHeader knows a new header, no two of which are the same, and no other file's", () => {
  const [one, other] = [newSegmentHeader(), newSegmentHeader()].map(decodeSegmentHeader);
  expect([one?.format, other?.format]).toEqual([SEGMENT_FORMAT, SEGMENT_FORMAT]);
  expect(one?.nonce).toMatch(/^[0-9a-f]{16}$/);
  expect(one?.nonce).not.toBe(other?.nonce);
  expect(decodeSegmentHeader(newSegmentHeader().subarray(1))).toBe(undefined);
  expect(decodeSegmentHeader(pattern(16))).toBe(undefined);
});

const records = { recordLimitBytes: 100_000, sync: true };

function segmentsOf(path: string): readonly string[] {
  return readdirSync(join(path, "segments")).map((name) => join(path, "segments", name)).toSorted();
}

test("FileStore refuses a segment of a later format in one line", async () => {
  await withFolder(async (folder) => {
    mkdirSync(join(folder.path, "segments"));
    const path = join(folder.path, "segments", "000000000001.segment");
    const later = newSegmentHeader();
    later[4] = SEGMENT_FORMAT + 1;
    writeFileSync(path, later);
    const error: unknown = await folder.open().catch((why: unknown) => why);
    expect(error).toBeInstanceOf(VitrineError);
    expect(error instanceof Error ? error.message : "").toBe(
      `open tier: ${path} has format ${SEGMENT_FORMAT + 1}, this version reads up to ${SEGMENT_FORMAT}`,
    );
    expect(readFileSync(path).equals(later)).toBe(true);
  });
});

test("FileStore finds everything in its segments again when the index is lost, and nothing that was deleted", async () => {
  await withFolder(async (folder) => {
    const adapter = await folder.open(records);
    for (let n = 0; n < 30; n += 1) {
      await adapter.store(key(`${n}`, n % 3 === 0 ? "t" : n % 3 === 1 ? "u" : ""), sourceOf(pattern(n * 100, n)));
    }
    await adapter.store(key("2"), sourceOf(pattern(77, 77)));
    for (const n of [5, 8]) expect(await adapter.delete(key(`${n}`))).toBe(true);
    expect(await adapter.clear("t")).toBe(10);
    await adapter.store(key("back", "t"), sourceOf(pattern(5)));
    const usage = await adapter.usage();
    for (let restart = 0; restart < 2; restart += 1) {
      await folder.opened.adapter.close();
      loseIndex(folder);
      const again = await folder.open(records);
      expect((await again.usage()).objects).toBe(usage.objects);
      expect(await again.lookup(key("5"))).toBe(undefined);
      expect(await again.lookup(key("0", "t"))).toBe(undefined);
      expect(await holds(again, key("2"), pattern(77, 77))).toBe(true);
      expect(await holds(again, key("29"), pattern(2900, 29))).toBe(true);
      expect(await holds(again, key("back", "t"), pattern(5))).toBe(true);
    }
  });
});

test("FileStore misses a damaged record, says corrupt, and serves the others", async () => {
  await withFolder(async (folder) => {
    const first = await folder.open(records);
    for (const n of [1, 2, 3]) await first.store(key(`${n}`), sourceOf(pattern(1000, n)));
    await first.close();
    const [segment = ""] = segmentsOf(folder.path);
    flipBit(segment, readFileSync(segment).indexOf(pattern(1000, 2)) + 500);
    const adapter = await folder.open(records);
    expect(await readAll(await adapter.load(key("2")))).toBe(undefined);
    expect(await adapter.lookup(key("2"))).toBe(undefined);
    expect(folder.removed).toEqual(["corrupt  1 1000"]);
    for (const n of [1, 3]) expect(await holds(adapter, key(`${n}`), pattern(1000, n))).toBe(true);
  });
});

test("FileStore passes over a torn end of a segment when the index is lost", async () => {
  await withFolder(async (folder) => {
    const first = await folder.open(records);
    await first.store(key("a"), sourceOf(pattern(1000)));
    await first.close();
    const [segment = ""] = segmentsOf(folder.path);
    const torn = encodeRecord({ kind: "object", key: key("b"), meta: metaOf(pattern(1000)) });
    writeFileSync(segment, Buffer.concat([readFileSync(segment), torn, pattern(500)]));
    loseIndex(folder);
    const adapter = await folder.open(records);
    expect(await holds(adapter, key("a"), pattern(1000))).toBe(true);
    expect((await adapter.usage()).objects).toBe(1);
    await adapter.store(key("b"), sourceOf(pattern(10)));
    await adapter.close();
    loseIndex(folder);
    expect(await holds(await folder.open(records), key("b"), pattern(10))).toBe(true);
  });
});
