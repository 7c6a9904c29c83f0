import { expect, test } from "bun:test";
import { print } from "../../src/runtime/print.ts";

test("print hands the value on", () => {
  const printed: unknown[] = [];
  print((value) => printed.push(value), "a line");
  expect(printed).toEqual(["a line"]);
});

test("print does not throw when the console does, as Deno's on a full disk", () => {
  const full = () => {
    throw new Error("No space left on device (os error 28)");
  };
  expect(() => print(full, "a line")).not.toThrow();
});
