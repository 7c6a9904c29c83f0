import { expect, test } from "bun:test";
import { ignoresHangup, print } from "../../src/runtime/terminal.ts";

test("print passes the value on", () => {
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

test("ignoresHangup reads the mask of ignored signals when nohup has set it", () => {
  expect(ignoresHangup("Name:\tbun\nSigBlk:\t0000000000000000\nSigIgn:\t0000000001001001\n")).toBe(true);
  expect(ignoresHangup("SigIgn:\t0000000001001000\n")).toBe(false);
  expect(ignoresHangup("")).toBe(false);
});
