import { closeSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Layout } from "./layout.ts";

/** Makes the 256 folders and the one of the segments where they are missing, durably: a file is no safer than the folder entry that leads to it. */
export function makeFolders(layout: Layout): void {
  const folders = [...layout.folders.map((folder) => layout.folderPath(folder)), layout.segmentsPath];
  const made = folders.filter((folder) => mkdirSync(folder, { recursive: true }) !== undefined);
  if (made.length === 0) return;
  for (const path of [join(layout.root, "objects"), layout.root, dirname(layout.root)]) {
    const descriptor = openSync(path, "r");
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }
}
