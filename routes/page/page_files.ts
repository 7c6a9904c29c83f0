import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** One file of the page. */
export interface PageFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly type: string;
  /** Strong; made of the bytes. */
  readonly etag: string;
}

const types = new Map([
  [".html", "text/html; charset=utf-8"],
  [".css", "text/css; charset=utf-8"],
  [".js", "text/javascript; charset=utf-8"],
  [".svg", "image/svg+xml"],
]);

/** What the page takes from packages, by the name it has on the page. */
const packaged = { "uplot.js": "uplot/dist/uPlot.esm.js", "uplot.css": "uplot/dist/uPlot.min.css" } as const;

function readFile(path: string): PageFile | undefined {
  const type = types.get(extname(path));
  if (type === undefined) return undefined;
  const bytes = new Uint8Array(readFileSync(path));
  return { bytes, type, etag: `"${createHash("sha256").update(bytes).digest("base64url")}"` };
}

/** Reads the page's files, by their path below routes/page/browser. Throws if one cannot be read. */
export function readPageFiles(): ReadonlyMap<string, PageFile> {
  const folder = fileURLToPath(import.meta.resolve("./browser/"));
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" }).map((path) => path.replaceAll("\\", "/"));
  const located = [
    ...paths.map((path) => [path, join(folder, path)] as const),
    ...Object.entries(packaged).map(([name, source]) => [name, fileURLToPath(import.meta.resolve(source))] as const),
  ];
  return new Map(located.flatMap(([name, path]) => {
    const file = readFile(path);
    return file === undefined ? [] : [[name, file]];
  }));
}
