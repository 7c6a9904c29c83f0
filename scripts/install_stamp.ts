import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

/** Holds the digest of the files that decided what was installed. */
const stampPath = "node_modules/.vitrine-installed";

function wantedStamp(): string {
  const hash = createHash("sha256");
  for (const path of ["package.json", "bun.lock"]) hash.update(readFileSync(path));
  return hash.digest("hex");
}

/** Whether node_modules was made from package.json and bun.lock as they are now. */
export function isInstalled(): boolean {
  try {
    return readFileSync(stampPath, "utf8") === wantedStamp();
  } catch {
    return false;
  }
}

/** Remembers that node_modules is made from package.json and bun.lock as they are now. */
export function writeStamp(): void {
  writeFileSync(stampPath, wantedStamp());
}
