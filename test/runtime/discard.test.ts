import { expect, test } from "bun:test";
import { currentRuntime } from "../../src/runtime/mod.ts";

const { discard } = currentRuntime();

test("Runtime.discard frees a chunk's memory at once", () => {
  const chunk = new Uint8Array(64 * 1024);
  discard(chunk, chunk.length);
  expect(chunk.length).toBe(0);
});

test("Runtime.discard ignores shared memory and chunks that are already freed", () => {
  const shared = new Uint8Array(new SharedArrayBuffer(1024));
  discard(shared, 1024);
  expect(shared.length).toBe(1024);
  const chunk = new Uint8Array(1024);
  discard(chunk, 1024);
  discard(chunk, 2048);
});
