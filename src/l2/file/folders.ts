import { closeSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Layout } from "./layout.ts";

/** Makes the folders that are always there, durably: a file is no safer than the folder entry that leads to it. */
export function makeFolders(layout: Layout): void {
  makeFolder(join(layout.root, "objects"));
  makeFolder(layout.incomingPath);
  makeFolder(layout.segmentsPath);
}

/** Makes a folder, and those above it, durably; nothing if it is there. */
export function makeFolder(path: string): void {
  const first = mkdirSync(path, { recursive: true });
  if (first === undefined) return;
  for (let above = dirname(path); above.length >= dirname(first).length; above = dirname(above)) {
    syncFolder(above);
    if (above === dirname(above)) return;
  }
}

function syncFolder(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
