/**
 * Installs the dependencies with the runtime that runs this script, unless node_modules is already what the lock file says.
 * Imports nothing from npm: it runs before anything is installed.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";

/** Written after an install; holds the digest of the files that decide what is installed. */
const stampPath = "node_modules/.vitrine-installed";

function wantedStamp(): string {
  const hash = createHash("sha256");
  for (const path of ["package.json", "bun.lock"]) hash.update(readFileSync(path));
  return hash.digest("hex");
}

function currentStamp(): string | undefined {
  try {
    return readFileSync(stampPath, "utf8");
  } catch {
    return undefined;
  }
}

const wanted = wantedStamp();
if (currentStamp() !== wanted) {
  const flags = process.versions["bun"] === undefined ? ["install"] : ["install", "--frozen-lockfile"];
  // Standard output belongs to the program that is started next.
  const { status } = spawnSync(process.execPath, flags, { stdio: ["ignore", 2, 2] });
  if (status === 0) writeFileSync(stampPath, wanted);
  else process.exit(status ?? 1);
}
