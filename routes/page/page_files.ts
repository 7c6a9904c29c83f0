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

/**
 * The port it is served on: the admin port has no objects and no description of the interface, and the page does not
 * point to them there.
 */
export type PagePort = "service" | "admin";

const types = new Map([
  [".html", "text/html; charset=utf-8"],
  [".css", "text/css; charset=utf-8"],
  [".js", "text/javascript; charset=utf-8"],
  [".svg", "image/svg+xml"],
]);

/** What the page takes from packages, by the name it has on the page. */
const packaged = { "uplot.js": "uplot/dist/uPlot.esm.js", "uplot.css": "uplot/dist/uPlot.min.css" } as const;

function pageFile(bytes: Uint8Array<ArrayBuffer>, type: string): PageFile {
  return { bytes, type, etag: `"${createHash("sha256").update(bytes).digest("base64url")}"` };
}

function readIndex(path: string, port: PagePort): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(readFileSync(path, "utf8").replace('data-port="service"', `data-port="${port}"`));
}

/** Reads the page's files, by their path below routes/page/browser. Throws if one cannot be read. */
export function readPageFiles(port: PagePort): ReadonlyMap<string, PageFile> {
  const folder = fileURLToPath(import.meta.resolve("./browser/"));
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" }).map((path) => path.replaceAll("\\", "/"));
  const located = [
    ...paths.map((path) => [path, join(folder, path)] as const),
    ...Object.entries(packaged).map(([name, source]) => [name, fileURLToPath(import.meta.resolve(source))] as const),
  ];
  return new Map(located.flatMap(([name, path]) => {
    const type = types.get(extname(path));
    if (type === undefined) return [];
    const bytes = name === "index.html" ? readIndex(path, port) : new Uint8Array(readFileSync(path));
    return [[name, pageFile(bytes, type)]];
  }));
}
