import { closeSync, fstatSync, openSync, readSync, unlinkSync } from "node:fs";
import { crc32 } from "node:zlib";
import type { BlockingDisk } from "./blocking_disk.ts";
import { fileNames } from "./folders.ts";
import { decodeTail, type Tail, tailLength } from "./format.ts";
import type { ObjectIndex } from "./index.ts";
import type { Layout } from "./layout.ts";
import type { IndexEntry, Place } from "./place.ts";
import { decodeRecord, RECORD_HEADER_BYTES, recordHeadBytes, SEGMENT_HEADER_BYTES } from "./record.ts";
import type { Segments } from "./segments.ts";

/** Read from the end of a file at first; enough for the tail of an object of a few hundred MiB. */
const TAIL_GUESS_BYTES = 4096;
/** Segments are read in parts of this size. */
const SCAN_BYTES = 4 * 1024 * 1024;

/** What was found when the folder was opened. */
export interface Recovery {
  /** Unfinished writes that were removed. */
  readonly leftovers: number;
  /** Objects the index did not know and now does. */
  readonly adopted: number;
  /** Older versions of an object that were removed. */
  readonly superseded: number;
  /** Damaged files that were removed. */
  readonly corrupt: number;
  /** Entries of the index whose file or segment is not there. */
  readonly missing: number;
}

/** What recovery works on. */
export interface RecoverOptions {
  readonly layout: Layout;
  readonly index: ObjectIndex;
  readonly segments: Segments;
  readonly disk: BlockingDisk;
}

type RecordPlace = Place & { readonly kind: "record" };
type Found = { -readonly [K in keyof Recovery]: number };

/**
 * Makes index and folder agree; segments and files are the truth. Reads what the index has not seen of each segment, in order, then the names in the 256
 * folders and the tails of those files that the index does not know.
 */
export function recover(options: RecoverOptions): Recovery {
  const found: Found = { leftovers: 0, adopted: 0, superseded: 0, corrupt: 0, missing: 0 };
  const { layout, index, segments } = options;
  const known = index.segments();
  for (const id of segments.ids) replay(options, id, known.get(id) ?? 0, found);
  index.transaction(() => {
    for (const id of known.keys()) if (!segments.has(id)) found.missing += index.forgetSegment(id);
  });
  found.leftovers += removeTemps(layout.incomingPath, layout);
  for (const folder of layout.folders) recoverFolder(options, folder, found);
  for (const [id, bytes] of index.liveBytes()) segments.addLive(id, bytes);
  return found;
}

/** Takes the records of a segment into the index that lie behind what it has seen. What follows a damaged record was never finished. */
function replay({ index, segments }: RecoverOptions, id: number, seen: number, found: Found): void {
  const end = segments.bytesOf(id);
  if (seen >= end) return;
  index.transaction(() => {
    let at = Math.max(seen, SEGMENT_HEADER_BYTES);
    let window: { readonly start: number; readonly bytes: Uint8Array } = { start: at, bytes: new Uint8Array() };
    const read = (position: number, length: number): Uint8Array | undefined => {
      if (position + length > end) return undefined;
      if (position + length > window.start + window.bytes.length) {
        const size = Math.min(end - position, Math.max(SCAN_BYTES, length));
        window = { start: position, bytes: segments.read(id, position, size) ?? new Uint8Array() };
      }
      return window.bytes.subarray(position - window.start, position - window.start + length);
    };
    for (;;) {
      const headBytes = recordHeadBytes(read(at, RECORD_HEADER_BYTES) ?? new Uint8Array());
      const record = headBytes === undefined ? undefined : decodeRecord(read(at, headBytes) ?? new Uint8Array());
      if (record === undefined) break;
      const length = record.headBytes + record.payloadBytes;
      const payload = read(at + record.headBytes, record.payloadBytes);
      if (payload === undefined) break;
      const { head } = record;
      if (head.kind === "object") {
        if (crc32(payload) !== head.meta.crc32) break;
        const { key, meta } = head;
        adoptRecord(index, { key, meta, place: { kind: "record", segment: id, offset: at }, bytes: length }, found);
      } else if (head.kind === "tombstone") {
        const row = index.find(head.key);
        if (row?.place.kind === "record") index.remove(row);
        index.addEnd(id, head);
      } else {
        index.clearRecords(head.tenant);
        index.addEnd(id, { kind: "clear", key: { tenant: head.tenant, key: "" } });
      }
      at += length;
    }
    index.noteSegment(id, end);
  });
}

/** Among records the later one counts; between a record and a file the higher version. */
function adoptRecord(index: ObjectIndex, entry: IndexEntry, found: Found): void {
  const old = index.find(entry.key);
  if (old?.place.kind === "file" && old.meta.version > entry.meta.version) return;
  if (old?.place.kind === "record" && entry.place.kind === "record" && isBefore(entry.place, old.place)) return;
  index.put(entry);
  if (old === undefined) found.adopted += 1;
}

function isBefore(a: RecordPlace, b: RecordPlace): boolean {
  return a.segment < b.segment || (a.segment === b.segment && a.offset < b.offset);
}

function recoverFolder({ layout, index }: RecoverOptions, folder: string, found: Found): void {
  index.transaction(() => {
    const known = index.names(folder);
    const folderPath = layout.folderPath(folder);
    const unknown: string[] = [];
    // Version 0.1.0 wrote its temp files here.
    found.leftovers += removeTemps(folderPath, layout);
    for (const name of fileNames(folderPath)) {
      if (layout.isObjectName(name) && name.startsWith(folder) && !known.delete(name)) unknown.push(name);
    }
    for (const id of known.values()) {
      index.forgetFile(id);
      found.missing += 1;
    }
    for (const name of unknown) found[adoptFile(layout, index, name)] += 1;
  });
}

function removeTemps(path: string, layout: Layout): number {
  const temps = fileNames(path).filter((name) => layout.isTempName(name));
  for (const name of temps) unlinkSync(`${path}/${name}`);
  return temps.length;
}

/** Takes a file into the index unless it is damaged or the index has a newer version of its object; then it is removed. */
function adoptFile(layout: Layout, index: ObjectIndex, name: string): "adopted" | "superseded" | "corrupt" {
  const path = layout.objectPath(name);
  const entry = readEntry(path, name);
  if (entry === undefined || layout.objectName(entry.key, entry.meta.version) !== name) {
    unlinkSync(path);
    return "corrupt";
  }
  const old = index.find(entry.key);
  if (old !== undefined && old.meta.version > entry.meta.version) {
    unlinkSync(path);
    return "superseded";
  }
  index.put(entry);
  if (old === undefined) return "adopted";
  if (old.place.kind === "file") unlinkSync(layout.objectPath(old.place.name));
  return "superseded";
}

function readEntry(path: string, name: string): IndexEntry | undefined {
  const descriptor = openSync(path, "r");
  try {
    const bytes = fstatSync(descriptor).size;
    const tail = readTail(descriptor, bytes);
    return tail === undefined ? undefined : { key: tail.key, meta: tail.meta, place: { kind: "file", name }, bytes };
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
