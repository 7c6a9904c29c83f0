import { expect, test } from "bun:test";
import { qualityOf } from "../../routes/events.ts";

const accepts: readonly (readonly [accept: string, weight: number | undefined])[] = [
  ["", undefined],
  ["text/html", undefined],
  ["*/*", undefined],
  ["text/plain", 1],
  ["text/html, TEXT/PLAIN ; Q=0.5", 0.5],
  ["text/plain;q=0", 0],
  ["text/plain;charset=utf-8;q=0.125", 0.125],
  ["text/plain;q=1.000", 1],
  ["text/plain;q=7", 1],
  ["text/plain;q=", 1],
];

for (const [accept, weight] of accepts) {
  test(`qualityOf gives text/plain ${weight} when Accept is "${accept}"`, () => {
    expect(qualityOf(accept, "text/plain")).toBe(weight);
  });
}
