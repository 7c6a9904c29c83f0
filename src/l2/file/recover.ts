import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync, unlinkSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { decodeTail, type Tail, tailLength } from "./format.ts";
import type { IndexEntry, ObjectIndex } from "./index.ts";
import type { Layout } from "./layout.ts";

/** Read from the end of a file at first; enough for the tail of an object of a few hundred MiB. */
const TAIL_GUESS_BYTES = 4096;

/** What was found when the folder was opened. */
export interface Recovery {
  /** Unfinished writes that were removed. */
  readonly leftovers: number;
  /** Files the index did not know and now does. */
  readonly adopted: number;
  /** Older versions of an object that were removed. */
  readonly superseded: number;
  /** Damaged files that were removed. */
  readonly corrupt: number;
  /** Entries of the index that had no file. */
  readonly missing: number;
}

/**
 * Makes index and folder agree, the files being the truth: reads the names in the 256 folders, and the tails of those files only that the index does not know.
 * Runs while nobody else uses the folder, hence each folder synchronously, which is several times faster than 200 000 promises; between folders others have
 * their turn, for a server that serves from L1 may do this too. What is no plain file, or has a name of another kind, is left alone.
 */
export async function recover(layout: Layout, index: ObjectIndex): Promise<Recovery> {
  const found = { leftovers: 0, adopted: 0, superseded: 0, corrupt: 0, missing: 0 };
  index.resetReserved();
  for (const folder of layout.folders) {
    await nextTurn();
    index.transaction(() => {
      const known = index.names(folder);
      const folderPath = layout.folderPath(folder);
      const unknown: string[] = [];
      for (const entry of readdirSync(folderPath, { withFileTypes: true })) {
        const { name } = entry;
        if (!entry.isFile()) continue;
        if (layout.isTempName(name)) {
          unlinkSync(`${folderPath}/${name}`);
          found.leftovers += 1;
        } else if (layout.isObjectName(name) && name.startsWith(folder) && !known.delete(name)) {
          unknown.push(name);
        }
      }
      for (const [name, id] of known) if (index.remove({ id, name })) found.missing += 1;
      for (const name of unknown) found[adopt(layout, index, name)] += 1;
    });
  }
  return found;
}

/** Takes a file into the index unless it is damaged or the index has a newer version of its object; then it is removed. */
function adopt(layout: Layout, index: ObjectIndex, name: string): "adopted" | "superseded" | "corrupt" {
  const path = layout.objectPath(name);
  const entry = readEntry(path, name);
  if (entry === undefined || layout.objectName(entry.key, entry.meta.version) !== name) {
    unlinkSync(path);
    return "corrupt";
  }
  const old = index.put(entry, { usedMs: entry.meta.createdMs, reservedBytes: 0 });
  if (old === undefined) return "adopted";
  const [newer, older] = old.meta.version > entry.meta.version ? [old, entry] : [entry, old];
  if (newer === old) index.put(old, { usedMs: old.meta.createdMs, reservedBytes: 0 });
  unlinkSync(layout.objectPath(older.name));
  return "superseded";
}

function readEntry(path: string, name: string): IndexEntry | undefined {
  const descriptor = openSync(path, "r");
  try {
    const fileBytes = fstatSync(descriptor).size;
    const tail = readTail(descriptor, fileBytes);
    return tail === undefined ? undefined : { key: tail.key, meta: tail.meta, name, fileBytes };
  } finally {
    closeSync(descriptor);
  }
}

function readTail(descriptor: number, fileBytes: number): Tail | undefined {
  const guess = readEnd(descriptor, fileBytes, TAIL_GUESS_BYTES);
  const length = tailLength(guess, fileBytes);
  if (length === undefined) return undefined;
  return decodeTail(length <= guess.length ? guess : readEnd(descriptor, fileBytes, length), fileBytes);
}

function readEnd(descriptor: number, fileBytes: number, length: number): Uint8Array {
  const bytes = new Uint8Array(Math.min(length, fileBytes));
  return bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, fileBytes - bytes.length));
}

/** Removes the first few files that hold objects or began to, of whatever key: the last resort of a start on a full disk. Returns how many objects that were. */
export function removeSome(layout: Layout, most: number): { readonly keys: number; readonly bytes: number } {
  const removed = { keys: 0, bytes: 0 };
  let left = most;
  for (const folder of layout.folders) {
    for (const name of namesIn(layout.folderPath(folder))) {
      if (left === 0) return removed;
      const path = `${layout.folderPath(folder)}/${name}`;
      if (!layout.isTempName(name) && !layout.isObjectName(name)) continue;
      const { size } = statSync(path);
      unlinkSync(path);
      left -= 1;
      if (layout.isTempName(name)) continue;
      removed.keys += 1;
      removed.bytes += size;
    }
  }
  return removed;
}

function namesIn(folderPath: string): readonly string[] {
  try {
    return readdirSync(folderPath, { withFileTypes: true }).filter((entry) => entry.isFile()).map(({ name }) => name);
  } catch {
    return [];
  }
}
