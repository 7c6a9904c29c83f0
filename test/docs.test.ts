import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { generatedDocs } from "../scripts/generated_docs.ts";

for (const { path, render } of generatedDocs) {
  test(`${path} holds what is generated when the sources are read (else: bun run docs)`, () => {
    const current = readFileSync(path, "utf8");
    expect(current).toBe(render(current));
  });
}

test("THREATS.md names no test that is not there", () => {
  const paths = Array.from(readFileSync("THREATS.md", "utf8").matchAll(/`(test\/[\w/.]+)`/g), ([, path = ""]) => path);
  expect(paths.length).toBeGreaterThan(20);
  expect(paths.filter((path) => !existsSync(path))).toEqual([]);
});
