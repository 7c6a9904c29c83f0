import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type FileAdapter, openOwnFolder, type OwnFolder } from "../../../src/l2/file/adapter.ts";
import type { BlockingDisk, Disk } from "../../../src/l2/file/disk.ts";
import type { StoreCalls } from "../../../src/l2/file/folder_calls.ts";
import { type Bench, inFolder, key, newBench, sourceOf } from "../support.ts";

/** What a test changes of a folder's settings. */
export interface FolderSettings {
  readonly limitBytes?: number;
  readonly disk?: Disk;
  readonly blockingDisk?: BlockingDisk;
  readonly sync?: boolean;
  readonly recordLimitBytes?: number;
}

/** A folder, and file adapters over it that are closed in the end. */
export interface Folder extends Bench {
  readonly path: string;
  /** Every object in a file of its own, unless `recordLimitBytes` says otherwise. */
  open(over?: FolderSettings): Promise<FileAdapter>;
  /** What was opened last. */
  readonly opened: OwnFolder;
  /** Full paths of everything under objects/. */
  files(): readonly string[];
  /** The one file under objects/. */
  file(): string;
}

export async function withFolder(body: (folder: Folder) => Promise<void>): Promise<void> {
  await inFolder(async (path) => {
    const bench = newBench();
    const folders: OwnFolder[] = [];
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
        get opened() {
          const last = folders.at(-1);
          if (last === undefined) throw new Error("open folder: not yet");
          return last;
        },
        open: (over) =>
          Promise.resolve().then(() => {
            const settings = { name: "fs", path, limitBytes: 0, sync: false, recordLimitBytes: 0, ...over };
            const folder = openOwnFolder({ ...bench, ...settings });
            folders.push(folder);
            return folder.adapter;
          }),
      });
    } finally {
      for (const { adapter } of folders) await adapter.close();
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

/** The index is lost, and is built again from the folder. */
export function loseIndex(folder: Folder): void {
  for (const suffix of ["", "-wal"]) rmSync(join(folder.path, `index.sqlite${suffix}`), { force: true });
}

/** The calls of an owner, to be spread and changed one by one. */
export function callsOf(store: StoreCalls): StoreCalls {
  return {
    get trouble() {
      return store.trouble;
    },
    find: (key, use) => store.find(key, use),
    has: (keys) => store.has(keys),
    damaged: (row) => store.damaged(row),
    change: (change) => store.change(change),
    hold: (bytes, heldBytes) => store.hold(bytes, heldBytes),
    release: (bytes) => store.release(bytes),
    relieve: (bytes) => store.relieve(bytes),
    clear: (tenant, onInvisible) => store.clear(tenant, onInvisible),
    list: (query) => store.list(query),
    keys: (after, limit) => store.keys(after, limit),
    usage: () => store.usage(),
    close: () => store.close(),
  };
}
