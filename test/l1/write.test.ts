import { expect, test } from "bun:test";
import { VitrineError } from "../../src/core/errors.ts";
import type { L1Manager } from "../../src/l1/l1_manager.ts";
import type { AdmitConditions, Decide } from "../../src/l1/l1.ts";
import { audit, get, makeL1 } from "./support.ts";

/** Writes an object of text in one step. */
function write(
  { l1 }: { readonly l1: L1Manager },
  name: string,
  { text, ...conditions }: AdmitConditions & { readonly text: string },
): ReturnType<L1Manager["write"]> {
  const bytes = new TextEncoder().encode(text);
  const kept = { crc32: 0, version: 1, createdMs: 0, expiresMs: 0, contentType: "text/plain", sha256: "" };
  return l1.write({ key: { tenant: "t", key: name }, meta: { ...kept, sizeBytes: bytes.length }, bytes }, conditions);
}

test("L1Manager.write admits a whole object with its metadata and tells both steps, one lease long", () => {
  const bench = makeL1();
  expect(write(bench, "a", { text: "hello" })).toBe("admitted");
  expect(bench.told).toEqual([
    { name: "l1.write.reserved", fields: { tenant: "t", keys: 1, bytes: 5 } },
    { name: "l1.write.finished", fields: { tenant: "t", keys: 1, bytes: 5 } },
  ]);
  expect(get(bench.l1, "a", "t")).toBe("hello");
  expect(bench.l1.peek({ tenant: "t", key: "a" })).toMatchObject({ sizeBytes: 5, contentType: "text/plain" });
  expect(write(bench, "a", { text: "" })).toBe("admitted");
  expect(get(bench.l1, "a", "t")).toBe("");
  expect(bench.l1.usage()).toMatchObject({ objects: 1, writeLeases: 0, stagingBytes: 0, payloadBytes: 0 });
  audit(bench.memory);
});

test("L1Manager.write changes nothing when it is full, unwanted, refused by decide, or too large", () => {
  const bench = makeL1({}, { admissionLimitBytes: 6 });
  write(bench, "a", { text: "old" });
  const dirty = { maxEntries: 1, maxBytes: 1000 };
  expect(write(bench, "b", { text: "first", dirty })).toBe("admitted");
  const asked: string[] = [];
  const decide: Decide = (known, { bytes, tenantLength, length }) => {
    asked.push(`${known?.meta?.sizeBytes} ${tenantLength} ${new TextDecoder().decode(bytes.slice(0, length))}`);
    return false;
  };
  expect(write(bench, "a", { text: "new", dirty, decide })).toBe("full");
  expect(write(bench, "a", { text: "sixsix", decide })).toBe("unwanted");
  expect(write(bench, "a", { text: "seven77", decide })).toBe("too_large");
  expect(asked).toEqual(["3 1 ta"]);
  const refuse = () => {
    throw new VitrineError("precondition_failed", "no");
  };
  expect(() => write(bench, "a", { text: "new", decide: refuse })).toThrow("no");
  expect([get(bench.l1, "a", "t"), get(bench.l1, "b", "t")]).toEqual(["old", "first"]);
  expect(bench.l1.dirtyUsage()).toMatchObject({ entries: 1, bytes: 5 });
  audit(bench.memory);
});

test("L1Manager.write evicts to make room, and is refused when nothing may leave", () => {
  const bench = makeL1({ sizeBytes: 64 * 4 }, { admissionLimitBytes: 200 });
  expect(write(bench, "a", { text: "a".repeat(150) })).toBe("admitted");
  expect(write(bench, "b", { text: "b".repeat(150) })).toBe("admitted");
  expect([get(bench.l1, "a", "t"), get(bench.l1, "b", "t")]).toEqual([undefined, "b".repeat(150)]);
  const [held] = bench.l1.reserveRead([{ tenant: "t", key: "b" }]);
  expect(write(bench, "a", { text: "a".repeat(150) })).toBe("no_room");
  expect(bench.l1.finishRead(held === undefined ? [] : [held.lease])).toEqual([true]);
  expect(write(bench, "b", { text: "c".repeat(150) })).toBe("admitted");
  expect(get(bench.l1, "b", "t")).toBe("c".repeat(150));
  audit(bench.memory);
});

test("L1Manager.write refuses bytes that are not as many as its metadata says", () => {
  const { l1, memory } = makeL1();
  const meta = { sizeBytes: 2, crc32: 0, version: 1, createdMs: 0, expiresMs: 0, contentType: "", sha256: "" };
  expect(() => l1.write({ key: { tenant: "", key: "a" }, meta, bytes: new Uint8Array(3) }, {})).toThrow(
    "write 2 bytes: 3 bytes",
  );
  expect(l1.usage().objects).toBe(0);
  audit(memory);
});
