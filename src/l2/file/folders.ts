import { closeSync, fsyncSync, lstatSync, mkdirSync, openSync, renameSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Layout } from "./layout.ts";

/** Makes the 256 folders where they are missing, durably: a file is no safer than the folder entry that leads to it. What stands in the place of one is moved aside. */
export function makeFolders(layout: Layout): void {
  setAside(join(layout.root, "objects"), "folder");
  const made = layout.folders.map((folder) => layout.folderPath(folder)).filter((path) => {
    setAside(path, "folder");
    return mkdirSync(path, { recursive: true }) !== undefined;
  });
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

/** Moves what is neither missing nor of the wanted kind (a folder called index.sqlite, a pipe called lock.sqlite) to a name of its own: it may be somebody's. */
export function setAside(path: string, wanted: "file" | "folder"): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  const found = statSync(path, { throwIfNoEntry: false });
  if (wanted === "file" ? found?.isFile() : found?.isDirectory()) return;
  renameSync(path, `${path}.aside-${Date.now()}`);
}
