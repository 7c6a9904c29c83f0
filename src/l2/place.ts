import { statSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/**
 * Identifies a folder independently of the path to it, even if it does not exist yet. Symbolic links, bind mounts and
 * different spellings of a path give the same result.
 */
export function placeOf(path: string): string {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(placeOf(parent), basename(path));
  }
}
