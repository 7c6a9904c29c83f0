import { expect, test } from "bun:test";
import { currentRuntime } from "../../src/runtime/mod.ts";

const { discard, name } = currentRuntime();

test("Runtime.discard gives a chunk's memory back at once where garbage piles up outside the heap", () => {
  const chunk = new Uint8Array(64 * 1024);
  discard(chunk, chunk.length);
  expect(chunk.length).toBe(name === "deno" ? 0 : 64 * 1024);
});

test("Runtime.discard leaves shared memory and what was given back before alone", () => {
  const shared = new Uint8Array(new SharedArrayBuffer(1024));
  discard(shared, 1024);
  expect(shared.length).toBe(1024);
  const chunk = new Uint8Array(1024);
  discard(chunk, 1024);
  discard(chunk, 2048);
});
