import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FileAdapter } from "../../../src/l2/file.ts";
import type { Disk } from "../../../src/l2/file/disk.ts";
import { type Bench, inFolder, key, newBench, sourceOf } from "../support.ts";

/** A folder, and file adapters over it that are closed in the end. */
export interface Folder extends Bench {
  readonly path: string;
  open(over?: { readonly limitBytes?: number; readonly disk?: Disk; readonly sync?: boolean }): Promise<FileAdapter>;
  /** Full paths of everything under objects/. */
  files(): readonly string[];
  /** The one file under objects/. */
  file(): string;
}

export async function withFolder(body: (folder: Folder) => Promise<void>): Promise<void> {
  await inFolder(async (path) => {
    const bench = newBench();
    const adapters: FileAdapter[] = [];
    const files = (): readonly string[] =>
      readdirSync(join(path, "objects"), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)).toSorted();
    try {
      await body({
        ...bench,
        path,
        files,
        file() {
          const [only = ""] = files();
          return only;
        },
        async open(over) {
          const adapter = await FileAdapter.open({ ...bench, name: "fs", path, limitBytes: 0, sync: false, ...over });
          adapters.push(adapter);
          return adapter;
        },
      });
    } finally {
      for (const adapter of adapters) await adapter.close();
    }
  });
}

/** Puts one object into the folder, closes, and lets `craft` do something to its file. */
export async function craft(folder: Folder, bytes: Uint8Array, change: (file: string) => void): Promise<void> {
  const adapter = await folder.open();
  await adapter.store(key("a", "t"), sourceOf(bytes));
  await adapter.close();
  change(folder.file());
}

/** Flips one bit of the byte at `at`. */
export function flipBit(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
  writeFileSync(file, bytes);
}

/** As after a power loss: the boot id the last run noted is another one. */
export function loseTrust(folder: Folder): void {
  writeFileSync(join(folder.path, "state"), "another-boot");
}
