import { expect, test } from "bun:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import {
  bodyBytes,
  FRAME_BYTES,
  frameCount,
  frameOffset,
  frameSeed,
  joinFrames,
  NameSpace,
  openFrame,
  sizeOfBody,
} from "../../../src/l2/s3/layout.ts";
import { pattern } from "../support.ts";
import { compareKeys, MAX_KEY_BYTES, MAX_TENANT_BYTES } from "../../../src/core/object.ts";
test("sizeOfBody undoes bodyBytes", () => {
  const sizes = fc.oneof(
    fc.nat(10 * FRAME_BYTES),
    fc.tuple(fc.nat(20), fc.integer({ min: -5, max: 5 }))
      .map(([frames, more]) => Math.max(0, frames * FRAME_BYTES + more)),
  );
  fc.assert(fc.property(sizes, (size) => {
    expect(sizeOfBody(bodyBytes(size))).toBe(size);
    expect(frameOffset(frameCount(size)) >= bodyBytes(size)).toBe(true);
  }));
});

test("joinFrames moves payloads together, from any frame on", () => {
  const size = 2 * FRAME_BYTES + 77;
  const payload = pattern(size);
  const frames = Array.from({ length: 3 }, (_, index) => {
    const part = payload.subarray(index * FRAME_BYTES, (index + 1) * FRAME_BYTES);
    const crc = Buffer.alloc(4);
    crc.writeUInt32LE(crc32(part, frameSeed("g", index)));
    return Buffer.concat([part, crc]);
  });
  for (const first of [0, 1, 2]) {
    const place = { offset: frameOffset(first), first, end: 3, generation: "g", sizeBytes: size };
    const bytes = () => Buffer.concat(frames.slice(first));
    expect(Buffer.compare(joinFrames(bytes(), place) ?? Buffer.of(), payload.subarray(first * FRAME_BYTES))).toBe(0);
    expect(joinFrames(bytes().subarray(0, -1), place)).toBe(undefined);
  }
});

test("openFrame refuses a changed byte, a cut frame and one in the place of another", () => {
  const payload = pattern(100);
  const crc = Buffer.alloc(4);
  crc.writeUInt32LE(crc32(payload, frameSeed("g", 0)));
  const bytes = Buffer.concat([payload, crc]);
  const place = { offset: frameOffset(0), index: 0, generation: "g", sizeBytes: 100 };
  expect(Buffer.compare(openFrame(bytes, place) ?? Buffer.of(), payload)).toBe(0);
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = Buffer.from(bytes);
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
    expect(openFrame(changed, place)).toBe(undefined);
    expect(openFrame(bytes.subarray(0, at), place)).toBe(undefined);
  }
  expect(openFrame(bytes, { ...place, generation: "h" })).toBe(undefined);
  expect(openFrame(bytes, { ...place, offset: frameOffset(1), index: 1, sizeBytes: FRAME_BYTES + 100 })).toBe(
    undefined,
  );
});

const names = new NameSpace("some/prefix");
const unit = fc.constantFrom(
  "a",
  "Z",
  "9",
  "/",
  ".",
  "-",
  "_",
  "~",
  "=",
  "\0",
  "\n",
  " ",
  "%",
  "{",
  "é",
  "\ufffd",
  "😀",
);

function text(maxBytes: number, minLength = 0): fc.Arbitrary<string> {
  return fc.oneof(fc.string({ unit, minLength, maxLength: 40 }), fc.string({ unit, minLength, maxLength: 700 }))
    .filter((each) => Buffer.byteLength(each) <= maxBytes);
}

const keys = text(MAX_KEY_BYTES, 1);
const tenants = text(MAX_TENANT_BYTES).map((tenant) => tenant.replaceAll("\0", ""));

test("a name is safe everywhere, at most 970 characters, and tells its key unless it is hashed", () => {
  fc.assert(
    fc.property(tenants, keys, (tenant, key) => {
      const name = names.nameOf({ tenant, key });
      expect(name.length <= 970).toBe(true);
      expect(name).toMatch(/^some\/prefix\/[0-9A-Za-z=_~-]+(?:\/[0-9A-Za-z=_~-]+)*$/);
      expect(name.split("/").every((part) => part.length <= 255)).toBe(true);
      expect(names.parse(name)).toEqual(names.isHashed(name) ? "hashed" : { tenant, key });
    }),
  );
});

test("names differ when keys or tenants do, and sort like the bytes of keys but for those of one group", () => {
  fc.assert(
    fc.property(keys, keys, (a, b) => {
      const [one, other] = [a, b].map((key) => names.nameOf({ tenant: "t", key }));
      if (one === undefined || other === undefined) throw new Error("no names");
      expect(one === other).toBe(a === b);
      if (names.groupOf(one) === names.groupOf(other)) return;
      expect(Math.sign(Buffer.compare(Buffer.from(one), Buffer.from(other)))).toBe(Math.sign(compareKeys(a, b)));
    }),
  );
  expect(names.nameOf({ tenant: "a", key: "b" })).not.toBe(names.nameOf({ tenant: "ab", key: "b" }));
  expect(names.nameOf({ tenant: "", key: "-/b" })).not.toBe(names.nameOf({ tenant: "-", key: "b" }));
});

test("no name is the folder of another one, for stores that keep objects as files", () => {
  fc.assert(
    fc.property(keys, keys, (a, b) => {
      const [one = "", other = ""] = [a, `${a}${b}`].map((key) => names.nameOf({ tenant: "", key }));
      expect(other.startsWith(`${one}/`)).toBe(false);
    }),
  );
});

test("all keys with a prefix have names that start like it, and later keys sort behind `before`", () => {
  fc.assert(
    fc.property(keys, keys, (prefix, rest) => {
      const key = `${prefix}${rest}`;
      const name = names.nameOf({ tenant: "t", key });
      expect(name.startsWith(names.startOf("t", prefix))).toBe(true);
      expect(Buffer.compare(Buffer.from(name), Buffer.from(names.before({ tenant: "t", key: prefix }))) >= 0).toBe(
        true,
      );
    }),
  );
});

test("parse knows no names that it would not make", () => {
  for (
    const name of [
      "some/prefix/-",
      "some/prefix/-/",
      "some/prefix//a",
      "other/-/a",
      "some/prefix/-/a.txt",
      "some/prefix/-/a/b",
      "some/prefix/-/a-2f",
      "some/prefix/-/a-61",
      "some/prefix/-/~FF",
      "some/prefix/a b/c",
      `some/prefix/-/a~~${"0".repeat(64)}`,
    ]
  ) {
    expect(names.parse(name)).toBe(undefined);
  }
  expect(names.parse("some/prefix/-/a-2Fb")).toEqual({ tenant: "", key: "a/b" });
});
