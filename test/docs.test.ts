import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { generatedDocs } from "../scripts/generated_docs.ts";

for (const { path, render } of generatedDocs) {
  test(`${path} holds what is generated when the sources are read (else: bun run docs)`, () => {
    const current = readFileSync(path, "utf8");
    expect(current).toBe(render(current));
  });
}
