import { statSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/**
 * Names a folder in a way that does not depend on the path to it, also if it is still to be made: symbolic links, bind
 * mounts and differently written paths to one folder give one name.
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
