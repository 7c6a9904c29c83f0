import { expect, test } from "bun:test";
import { bytesOf, commit, fill, get, makeL1, MIB, put, request, resident, staging } from "../support.ts";

test("an arena above 4 GiB has several segments, and objects in the second are written and read right", () => {
  const { l1, memory } = makeL1({ sizeBytes: 4200 * MIB, maxObjects: 100 }, { admissionLimitBytes: 4095 * MIB });
  expect(memory.segments.map((segment) => segment.byteLength)).toEqual([4096 * MIB, 104 * MIB]);
  // Nobody writes into this one, so its pages are never backed.
  const ballast = staging(l1.reserveWrite([request("ballast", 4095 * MIB)], "put")[0]);
  l1.finishWrite([commit(ballast, 4095 * MIB)], "replace");
  put(l1, "low", "in the first segment, if it fits");
  const [staged] = l1.reserveWrite([request("high", 2 * MIB)], "put");
  expect(staging(staged).extents.map((view) => view.buffer === memory.segments[1])).toEqual([true]);
  const content = Uint8Array.from({ length: 2 * MIB }, (_, i) => (i * 7) & 255);
  fill(staging(staged).extents.map((view) => view.subarray(0, 2 * MIB)), content);
  l1.finishWrite([commit(staging(staged), 2 * MIB)], "replace");
  const [found] = l1.reserveRead([{ tenant: "", key: "high" }]);
  const view = resident(found).extents[0];
  expect([view?.length, view?.[12_345], view?.[2 * MIB - 1]]).toEqual([2 * MIB, content[12_345], content.at(-1)]);
  expect(bytesOf([view?.subarray(0, 1000) ?? new Uint8Array()])).toEqual(content.subarray(0, 1000));
  expect(get(l1, "low")).toBe("in the first segment, if it fits");
});
