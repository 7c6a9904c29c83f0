import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** A folder outside the tree for what is dear to make; it is made if it is not there. */
export function cacheFolder(name: string): string {
  const folder = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "vitrine", name);
  mkdirSync(folder, { recursive: true });
  return folder;
}
