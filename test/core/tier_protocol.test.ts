import { expect, test } from "bun:test";
import fc from "fast-check";
import { type ObjectMeta, packHeaders, type Precondition } from "../../src/core/object.ts";
import {
  encodeTail,
  formatMeta,
  fromBase64,
  metaOf,
  parseEarlyMeta,
  parseMeta,
  splitTail,
  toBase64,
} from "../../src/core/tier_protocol.ts";

const latin = fc.string({ unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)) })
  .map((text) => text.replaceAll("\x7f", "").replaceAll(/[\x80-\x9f]/g, "é"));
const metas: fc.Arbitrary<ObjectMeta> = fc.record({
  sizeBytes: fc.maxSafeNat(),
  crc32: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  version: fc.maxSafeNat(),
  createdMs: fc.double({ min: 0, max: 1e13, noNaN: true }).map((ms) => ms + 0),
  expiresMs: fc.double({ min: 0, max: 1e13, noNaN: true }).map((ms) => ms + 0),
  contentType: latin.map((text) => text.slice(0, 255)),
  sha256: fc.constantFrom("", `${"A".repeat(43)}=`),
  headers: latin.map((value) => packHeaders([["vitrine-meta-a", value]])),
});
const tags = fc.constantFrom(undefined, "*" as const, ['"a"', 'W/"b"']);
const preconditions: fc.Arbitrary<Precondition> = fc.record({ match: tags, noneMatch: tags });

test("parseMeta returns the metadata that formatMeta was given", () => {
  fc.assert(fc.property(metas, (meta) => expect(parseMeta(formatMeta(meta))).toEqual(meta)));
});

test("splitTail returns the bytes before a tail, and what encodeTail was given", () => {
  fc.assert(
    fc.property(fc.uint8Array(), metas, fc.option(preconditions, { nil: undefined }), (bytes, meta, precondition) => {
      const end = splitTail(new Uint8Array(Buffer.concat([bytes, encodeTail({ meta, precondition })])));
      expect(end && Buffer.compare(end.rest, bytes)).toBe(0);
      expect(end?.tail).toEqual(precondition === undefined ? { meta } : { meta, precondition });
    }),
  );
});

test("fromBase64 returns the text that toBase64 was given, and nothing for another spelling of it", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => expect(fromBase64(toBase64(text))).toBe(text)));
  for (const text of ["a", "YQ==", "YR", "Y Q", "a+b/", "_w", "é"]) expect(fromBase64(text)).toBe(undefined);
  expect(fromBase64("YQ")).toBe("a");
});

const sound: ObjectMeta = {
  sizeBytes: 1,
  crc32: 2,
  version: 3,
  createdMs: 4.5,
  expiresMs: 0,
  contentType: "text/plain",
  sha256: "",
};

for (
  const wrong of [
    { sizeBytes: -1 },
    { sizeBytes: 1.5 },
    { crc32: 2 ** 32 },
    { version: 2 ** 53 },
    { createdMs: "4" },
    { expiresMs: -1 },
    { contentType: "text/plain\r\nx: y" },
    { contentType: "x".repeat(256) },
    { contentType: "text/\u0100" },
    { sha256: "abc" },
    { headers: "no colon" },
    { headers: "a:b\r\nc:d\n" },
    { headers: `a:${"b".repeat(8192)}\n` },
  ]
) {
  test(`metaOf refuses metadata with ${JSON.stringify(wrong).slice(0, 60)}`, () => {
    expect(metaOf(sound)).toEqual(sound);
    expect(metaOf({ ...sound, ...wrong })).toBe(undefined);
  });
}

test("parseMeta, parseEarlyMeta and splitTail refuse what is not theirs", () => {
  for (const field of [null, "", "%", toBase64("{"), toBase64("[]"), toBase64("null"), toBase64("{}")]) {
    expect([parseMeta(field), parseEarlyMeta(field)]).toEqual([undefined, undefined]);
  }
  const tail = encodeTail({ meta: sound });
  for (const bytes of [tail.subarray(1), tail.subarray(0, -1), new Uint8Array(3), new Uint8Array(4)]) {
    expect(splitTail(bytes)).toBe(undefined);
  }
  const spoilt = new Uint8Array(tail);
  spoilt[tail.length - 4] = 1;
  expect(splitTail(spoilt)).toBe(undefined);
});
