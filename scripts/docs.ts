/** Writes the generated parts of the documentation anew: `bun run docs`. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { generatedDocs } from "./generated_docs.ts";

for (const { path, render } of generatedDocs) {
  writeFileSync(path, render(existsSync(path) ? readFileSync(path, "utf8") : ""));
}
