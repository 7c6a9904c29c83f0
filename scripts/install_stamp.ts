import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Holds the part that was installed, and the digest of the files that decided what that was. */
const STAMP = "node_modules/.vitrine-installed";

/** The parts that are installed: those of the server alone, or also the tools and the tests. */
export type Part = "server" | "all";

function stampOf(part: Part, root: string): string {
  const hash = createHash("sha256");
  for (const path of ["package.json", "bun.lock"]) hash.update(readFileSync(join(root, path)));
  return `${part} ${hash.digest("hex")}`;
}

/** True if node_modules was made from package.json and bun.lock as they are now, and has the part. */
export function isInstalled(part: Part, root: string = "."): boolean {
  try {
    const stamp = readFileSync(join(root, STAMP), "utf8");
    return stamp === stampOf("all", root) || stamp === stampOf(part, root);
  } catch {
    return false;
  }
}

/** Remembers that the part was installed from package.json and bun.lock as they are now. */
export function writeStamp(part: Part, root: string = "."): void {
  writeFileSync(join(root, STAMP), stampOf(part, root));
}
