import { expect, test } from "bun:test";
import fc from "fast-check";
import { decodeMeta, encodeMeta } from "../../src/l2/meta_record.ts";
import { metaOf, pattern } from "./support.ts";

test("decodeMeta gives back what encodeMeta was given", () => {
  const number = fc.double({ min: 0, max: Number.MAX_SAFE_INTEGER, noNaN: true }).map((value) => value + 0);
  const text = fc.string({ unit: fc.constantFrom("a", "é", "😀", "\0", "ÿ", "\n"), maxLength: 30 });
  const meta = fc.record({
    sizeBytes: fc.maxSafeNat(),
    crc32: fc.nat(0xffff_ffff),
    version: fc.maxSafeNat(),
    createdMs: number,
    expiresMs: number,
    contentType: text,
    sha256: text,
    headers: text,
  }, { requiredKeys: ["sizeBytes", "crc32", "version", "createdMs", "expiresMs", "contentType", "sha256"] });
  fc.assert(fc.property(meta, (each) => {
    expect(decodeMeta(encodeMeta(each))).toEqual({ meta: each });
  }));
});

test("decodeMeta notices every changed byte, and a record that was cut", () => {
  const record = encodeMeta(metaOf(pattern(10), { headers: "content-encoding:gzip\n" }));
  for (let at = 0; at < record.length; at += 1) {
    const changed = Buffer.from(record);
    changed.writeUInt8(changed.readUInt8(at) ^ 0x10, at);
    expect(typeof decodeMeta(changed)).toBe("string");
    expect(decodeMeta(record.subarray(0, at))).toBe("damaged");
  }
});

test("decodeMeta leaves a record of a later Vitrine alone", () => {
  const record = encodeMeta(metaOf(pattern(10)));
  record.writeUInt8(2, 0);
  expect(decodeMeta(record)).toBe("newer");
});
