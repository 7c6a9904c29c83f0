import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Files from packages, by their names on the page. */
const packaged = { "uplot.js": "uplot/dist/uPlot.esm.js", "uplot.css": "uplot/dist/uPlot.min.css" } as const;

/**
 * Reads all files of the page, by their path below page/. Throws if one cannot be read. In the package and the
 * executable, scripts/build.ts puts a module that contains them in place of this one.
 */
export function readPageSource(): ReadonlyMap<string, Uint8Array<ArrayBuffer>> {
  const folder = fileURLToPath(import.meta.resolve("../page/"));
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const own = entries.map((entry) => join(entry.parentPath, entry.name));
  const located: readonly (readonly [string, string])[] = [
    ...own.map((path) => [path.slice(folder.length).replaceAll("\\", "/"), path] as const),
    ...Object.entries(packaged).map(([name, source]) => [name, fileURLToPath(import.meta.resolve(source))] as const),
  ];
  return new Map(located.map(([name, path]) => [name, new Uint8Array(readFileSync(path))]));
}
