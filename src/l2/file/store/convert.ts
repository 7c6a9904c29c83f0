import { closeSync, fstatSync, openSync, readSync, unlinkSync } from "node:fs";
import { decodeTail, type Tail, tailLength } from "../format.ts";
import type { IndexEntry } from "../place.ts";
import { encodeRecord } from "./record.ts";
import type { Found, RecoverOptions } from "./recover.ts";

/** Read from the end of a file at first; enough for the tail of an object of a few hundred MiB. */
const TAIL_GUESS_BYTES = 4096;
/** Files that are taken up with one write of their records. */
const BATCH = 1024;

type FileEntry = Omit<IndexEntry, "record" | "file"> & { readonly fileBytes: number };

/**
 * Takes up the files of 0.1.0, which had no segments: each gets a record, then its name of today. Interrupted at any
 * point, the next start goes on: a file with its old name gets another record. When this returns, no file has an old
 * name any more, durably, because such a file would be taken up again later.
 */
export function takeUpFiles(options: RecoverOptions, names: readonly string[], found: Found): void {
  const { layout, disk } = options;
  for (let at = 0; at < names.length; at += BATCH) takeUpBatch(options, names.slice(at, at + BATCH), found);
  for (const folder of new Set(names.map((name) => layout.folderOf(name)))) disk.syncFolder(folder);
}

function takeUpBatch({ layout, index, segments, disk }: RecoverOptions, names: readonly string[], found: Found): void {
  const entries = new Map<string, { readonly name: string; readonly entry: FileEntry }>();
  for (const name of names) {
    const path = layout.objectPath(name);
    const entry = readEntry(path);
    const newName = entry && layout.objectName(entry.key, entry.meta.version);
    if (entry === undefined || newName !== `${name}.object`) {
      unlinkSync(path);
      found.corrupt += 1;
      continue;
    }
    const newer = index.find(entry.key)?.meta.version ?? entries.get(name.slice(0, 64))?.entry.meta.version ?? -1;
    if (newer > entry.meta.version) {
      unlinkSync(path);
      found.superseded += 1;
      continue;
    }
    const other = entries.get(name.slice(0, 64));
    if (other !== undefined) {
      unlinkSync(layout.objectPath(other.name));
      found.superseded += 1;
    }
    entries.set(name.slice(0, 64), { name, entry });
  }
  if (entries.size === 0) return;
  const records = [...entries.values()].map(({ entry }) => encodeRecord({ kind: "file", ...entry }));
  const { id, position } = segments.append(records);
  segments.sync();
  for (const { name } of entries.values()) disk.rename(layout.objectPath(name), layout.objectPath(`${name}.object`));
  index.transaction(() => {
    let offset = position;
    for (const [at, { name, entry }] of [...entries.values()].entries()) {
      const bytes = records[at]?.length ?? 0;
      const file = { name: `${name}.object`, bytes: entry.fileBytes };
      const old = index.put({ key: entry.key, meta: entry.meta, record: { segment: id, offset, bytes }, file });
      if (old?.file !== undefined && old.file.name !== file.name) disk.remove(layout.objectPath(old.file.name));
      if (old === undefined) found.adopted += 1;
      else found.superseded += 1;
      offset += bytes;
    }
    const segment = segments.get(id);
    if (segment !== undefined) index.noteSegment(id, segment);
  });
}

function readEntry(path: string): FileEntry | undefined {
  const descriptor = openSync(path, "r");
  try {
    const fileBytes = fstatSync(descriptor).size;
    const tail = readTail(descriptor, fileBytes);
    return tail === undefined ? undefined : { key: tail.key, meta: tail.meta, fileBytes };
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
