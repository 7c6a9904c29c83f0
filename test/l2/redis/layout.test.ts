import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  chunkCount,
  entryRange,
  escapeKey,
  headName,
  headPattern,
  KeySpace,
  openChunk,
  parseEntry,
  parseHeadName,
  sealChunk,
} from "../../../src/l2/redis/layout.ts";
import { pattern } from "../support.ts";

const anyKey = fc.string({ minLength: 1, maxLength: 12 });
/** Full of what is escaped. */
const nastyKey = fc.string({
  unit: fc.constantFrom("\0", "\u0001", "\u0002", "a", "ÿ", "😀"),
  minLength: 1,
  maxLength: 8,
});
const someKey = fc.oneof(anyKey, nastyKey);

function memberOf(key: string): Buffer {
  return Buffer.concat([escapeKey(key), Buffer.from("\u0000123:0")]);
}

test("escapeKey keeps the order of the keys' bytes, whatever follows in the entry", () => {
  fc.assert(fc.property(someKey, someKey, (a, b) => {
    const byKey = Buffer.compare(Buffer.from(a), Buffer.from(b));
    expect(Buffer.compare(memberOf(a), memberOf(b))).toBe(byKey);
  }));
});

test("parseEntry gives back key, size and expiry", () => {
  fc.assert(fc.property(someKey, fc.nat(), fc.nat(), (key, sizeBytes, expiresMs) => {
    const member = Buffer.concat([escapeKey(key), Buffer.from(`\u0000${sizeBytes}:${expiresMs}`)]);
    expect(parseEntry(member)).toEqual({ key, sizeBytes, expiresMs });
  }));
});

test("parseEntry throws when it is no entry", () => {
  for (const text of ["", "abc", "abc\0", "abc\0x:1", "abc\u00001"]) {
    expect(() => parseEntry(Buffer.from(text))).toThrow("parse index entry");
  }
});

/** Whether an entry lies within bounds as ZRANGEBYLEX reads them. */
function isWithin(member: Buffer, { min, max }: { readonly min: Buffer; readonly max: Buffer }): boolean {
  const isAbove = Buffer.compare(member, min.subarray(1)) >= 0;
  return isAbove && (max.toString() === "+" || Buffer.compare(member, max.subarray(1)) < 0);
}

test("entryRange has exactly the keys with the prefix that come after the other", () => {
  fc.assert(
    fc.property(
      someKey,
      fc.oneof(fc.constant(""), someKey),
      fc.oneof(fc.constant(""), someKey),
      (key, prefix, after) => {
        const isAfter = after === "" || Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0;
        expect(isWithin(memberOf(key), entryRange(prefix, after))).toBe(key.startsWith(prefix) && isAfter);
      },
    ),
  );
});

test("parseHeadName reads what headName writes, and nothing of another tier", () => {
  const keys = new KeySpace("a", 4);
  fc.assert(fc.property(someKey, fc.constantFrom("", "t", "t:x*"), (key, tenant) => {
    const base = keys.baseOf({ tenant, key });
    expect(parseHeadName(keys, headName(base, { tenant, key }))).toEqual({ base, tenant, key });
  }));
  const [base = ""] = new KeySpace("a:b", 4).bases;
  expect(parseHeadName(keys, headName(base, { tenant: "", key: "k" }))).toBe(undefined);
  expect(parseHeadName(keys, "{a:0}:s")).toBe(undefined);
});

test("headPattern takes nothing in a tenant for a pattern", () => {
  expect(headPattern(new KeySpace("p", 1), "a*[b]?\\^-c")).toBe("{p:*}:o:a\\*\\[b\\]\\?\\\\\\^\\-c\0*");
  expect(headPattern(new KeySpace("p", 1), undefined)).toBe("{p:*}:o:*");
});

test("KeySpace spreads objects over all shards, each under a hash tag of its own", () => {
  const keys = new KeySpace("p", 64);
  const used = new Set(Array.from({ length: 2000 }, (_, n) => keys.baseOf({ tenant: "", key: `${n}` })));
  expect(used.size).toBe(64);
  expect([...used].every((base) => /^\{p:\d+\}:$/.test(base))).toBe(true);
});

test("openChunk refuses a changed byte, a cut chunk and one in the place of another", () => {
  const chunk = Buffer.concat([Buffer.alloc(4), pattern(100)]);
  const id = { generation: "g", index: 3 };
  sealChunk(chunk, id);
  expect(Buffer.compare(openChunk(chunk, id) ?? Buffer.of(), pattern(100))).toBe(0);
  for (let at = 0; at < chunk.length; at += 1) {
    const changed = Buffer.from(chunk);
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
    expect(openChunk(changed, id)).toBe(undefined);
    expect(openChunk(chunk.subarray(0, at), id)).toBe(undefined);
  }
  expect(openChunk(chunk, { generation: "g", index: 2 })).toBe(undefined);
  expect(openChunk(chunk, { generation: "h", index: 3 })).toBe(undefined);
});

test("chunkCount is 0 up to one value", () => {
  const mib = 1024 * 1024;
  expect([0, 1, mib, mib + 1, 2 * mib, 64 * mib].map(chunkCount)).toEqual([0, 0, 0, 2, 2, 64]);
});
