import { closeSync, fstatSync, openSync, readSync, unlinkSync } from "node:fs";
import { crc32 } from "node:zlib";
import type { BlockingDisk } from "../disk.ts";
import type { IndexEntry } from "../folder_calls.ts";
import { decodeTail, fileNames, type Layout, type Tail, tailLength } from "../layout.ts";
import type { ObjectIndex } from "./index.ts";
import {
  decodeRecord,
  encodeRecord,
  RECORD_HEADER_BYTES,
  type RecordHead,
  recordLengths,
  SEGMENT_HEADER_BYTES,
} from "./record.ts";
import type { Segments } from "./segments.ts";

/**
 * Makes index and folder agree; the segments, read in order, are the source of truth. Replays records that the index
 * has missed, removes files that no record names, and converts the files of 0.1.0, which had no segments.
 */
export function recover(options: RecoverOptions): Recovery {
  const found: Found = { leftovers: 0, adopted: 0, superseded: 0, corrupt: 0, missing: 0 };
  const { layout, index, segments } = options;
  const known = index.segments();
  index.transaction(() => {
    for (const [id, { nonce, bytes }] of known) {
      const segment = segments.get(id);
      if (segment?.nonce !== nonce) found.missing += index.forgetSegment(id);
      // A power loss has cut off records that the index already had.
      else if (bytes > segment.bytes) found.missing += index.cutSegment(id, segment.bytes);
    }
  });
  index.transaction(() => index.finishClears());
  const seen = index.segments();
  for (const id of segments.ids) replay(options, id, seen.get(id)?.bytes ?? 0, found);
  found.leftovers += removeTemps(layout.incomingPath, layout);
  const unlogged: string[] = [];
  for (const folder of layout.folders) unlogged.push(...recoverFolder(options, folder, found));
  takeUpFiles(options, unlogged, found);
  for (const [id, bytes] of index.liveBytes()) segments.addLive(id, bytes);
  return found;
}

/** Replays the records of a segment that the index has not seen. */
function replay({ layout, index, segments }: RecoverOptions, id: number, seen: number, found: Found): void {
  const segment = segments.get(id);
  if (segment === undefined || seen === segment.bytes) return;
  index.transaction(() => {
    const range = { start: Math.max(seen, SEGMENT_HEADER_BYTES), end: segment.bytes };
    for (const record of scanRecords((position, length) => segments.read(id, position, length), range)) {
      const { head, offset, bytes, isSound } = record;
      if (head.kind === "clear") {
        index.clear(head.tenant);
        segments.noteClear(id);
      } else if (head.kind === "tombstone") index.removeKey(head.key);
      else if (!isSound) {
        index.removeKey(head.key);
        found.corrupt += 1;
      } else {
        const { key, meta } = head;
        const file = head.kind === "file"
          ? { name: layout.objectName(key, meta.version), bytes: head.fileBytes }
          : undefined;
        const old = index.put({ key, meta, record: { segment: id, offset, bytes }, file });
        if (old === undefined) found.adopted += 1;
      }
    }
    index.noteSegment(id, segment);
  });
}

/** Makes the index and one of the 256 folders agree; returns the folder's file names from 0.1.0. */
function recoverFolder({ layout, index }: RecoverOptions, folder: string, found: Found): readonly string[] {
  const known = index.names(folder);
  const folderPath = layout.folderPath(folder);
  // 0.1.0 wrote its temp files here.
  found.leftovers += removeTemps(folderPath, layout);
  const unlogged: string[] = [];
  for (const name of fileNames(folderPath)) {
    if (!name.startsWith(folder)) continue;
    if (layout.isUnloggedName(name)) unlogged.push(name);
    else if (layout.isObjectName(name) && !known.delete(name)) {
      unlinkSync(layout.objectPath(name));
      found.leftovers += 1;
    }
  }
  index.transaction(() => {
    for (const id of known.values()) index.forgetFile(id);
  });
  found.missing += known.size;
  return unlogged;
}

function removeTemps(path: string, layout: Layout): number {
  const temps = fileNames(path).filter((name) => layout.isTempName(name));
  for (const name of temps) unlinkSync(`${path}/${name}`);
  return temps.length;
}

/** The result of a recovery. */
export interface Recovery {
  /** Removed files that no record names, left behind by unfinished writes and removals. */
  readonly leftovers: number;
  /** Objects that were missing in the index and were added. */
  readonly adopted: number;
  /** Older versions of an object that were removed. */
  readonly superseded: number;
  /** Damaged objects that were removed. */
  readonly corrupt: number;
  /** Removed entries of the index whose file or record is missing. */
  readonly missing: number;
}

/** Options of a recovery. */
export interface RecoverOptions {
  readonly layout: Layout;
  readonly index: ObjectIndex;
  readonly segments: Segments;
  readonly disk: BlockingDisk;
}

/** The counts of a running recovery. */
export type Found = { -readonly [K in keyof Recovery]: number };

/** A record with its place in a segment. */
export interface ScannedRecord {
  readonly head: RecordHead;
  readonly offset: number;
  /** Bytes of head and payload. */
  readonly bytes: number;
  /** True unless the payload of an object does not match its checksum. */
  readonly isSound: boolean;
}

/** Reads a part of a file; undefined if the file is too short. */
export type ReadPart = (position: number, length: number) => Uint8Array | undefined;

/** Number of bytes that are read at once. */
const WINDOW_BYTES = 4 * 1024 * 1024;

/**
 * Iterates over the records of a segment from `start` to `end`, in order. Leaves out records whose head is damaged.
 * Ends at the first one that is cut off, or whose header is damaged, so that nobody knows where the next one begins;
 * mostly it was never finished. To look for the next header would be wrong: an object may contain bytes that look like
 * one.
 */
export function* scanRecords(
  readPart: ReadPart,
  { start, end }: { readonly start: number; readonly end: number },
): Generator<ScannedRecord, void, void> {
  const read = windowed(readPart, end);
  for (let offset = start; offset < end;) {
    const lengths = recordLengths(read(offset, RECORD_HEADER_BYTES) ?? new Uint8Array());
    if (lengths === undefined) return;
    const { headBytes, payloadBytes } = lengths;
    const headPart = read(offset, headBytes);
    const payload = read(offset + headBytes, payloadBytes);
    if (headPart === undefined || payload === undefined) return;
    const head = decodeRecord(headPart)?.head;
    const bytes = headBytes + payloadBytes;
    if (head !== undefined) {
      yield { head, offset, bytes, isSound: head.kind !== "object" || crc32(payload) === head.meta.crc32 };
    }
    offset += bytes;
  }
}

/** Adds read-ahead, so that many small parts need few calls. */
function windowed(readPart: ReadPart, end: number): ReadPart {
  let start = 0;
  let window: Uint8Array = new Uint8Array();
  return (position, length) => {
    if (position + length > end) return undefined;
    if (position < start || position + length > start + window.length) {
      window = readPart(position, Math.min(end - position, Math.max(WINDOW_BYTES, length))) ?? new Uint8Array();
      start = position;
    }
    const part = window.subarray(position - start, position - start + length);
    return part.length === length ? part : undefined;
  };
}

/**
 * Number of bytes that are first read from the end of a file: enough for the tail of an object of a few hundred MiB.
 */
const TAIL_GUESS_BYTES = 4096;
/** Number of files that are converted with one write of their records. */
const BATCH = 1024;

type FileEntry = Omit<IndexEntry, "record" | "file"> & { readonly fileBytes: number };

/**
 * Converts the files of 0.1.0, which had no segments: each gets a record, then today's name. If this is interrupted,
 * the next start continues: a file with its old name gets another record. When this returns, no file has an old name
 * any more, durably, because a later start would convert it again.
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
