import { closeSync, fsyncSync, lstatSync, mkdirSync, openSync, readdirSync, renameSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Layout } from "./layout.ts";

/**
 * Makes the folders that are always there, durably: a file is no safer than the folder entry that leads to it. What
 * stands in the place of one is moved aside.
 */
export function makeFolders(layout: Layout): void {
  makeFolder(join(layout.root, "objects"));
  makeFolder(layout.incomingPath);
  makeFolder(layout.segmentsPath);
}

/** Makes a folder, and those above it, durably; nothing if it is there. What stands in its place is moved aside. */
export function makeFolder(path: string): void {
  setAside(path, "folder");
  const first = mkdirSync(path, { recursive: true });
  if (first === undefined) return;
  for (let above = dirname(path); above.length >= dirname(first).length; above = dirname(above)) {
    syncFolder(above);
    if (above === dirname(above)) return;
  }
}

/**
 * Moves what is neither missing nor of the wanted kind (a folder called index.sqlite, a pipe called lock.sqlite) to a
 * name of its own: it may be somebody's.
 */
export function setAside(path: string, wanted: "file" | "folder"): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  const found = statSync(path, { throwIfNoEntry: false });
  if (wanted === "file" ? found?.isFile() : found?.isDirectory()) return;
  renameSync(path, `${path}.aside-${Date.now()}`);
}

/** The names of the plain files in a folder; none if there is no such folder. */
export function fileNames(path: string): readonly string[] {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [];
  return readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isFile()).map(({ name }) => name);
}

function syncFolder(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
