import { crc32 } from "node:zlib";
import { decodeRecord, RECORD_HEADER_BYTES, type RecordHead, recordHeadBytes } from "./record.ts";

/** A record with its place in a segment. */
export interface ScannedRecord {
  readonly head: RecordHead;
  readonly offset: number;
  /** Bytes of head and payload. */
  readonly bytes: number;
  /** Whether the payload of an object has the checksum that the head says. */
  readonly isSound: boolean;
}

/** A part of a file; undefined if the file ends before. */
export type ReadPart = (position: number, length: number) => Uint8Array | undefined;

/** Bytes that are read at once. */
const WINDOW_BYTES = 4 * 1024 * 1024;

/**
 * The records of a segment from `start` to `end`, in order. Ends at the first record whose head is damaged or which is
 * cut off: that one, and what follows it, was never finished.
 */
export function* scanRecords(
  readPart: ReadPart,
  { start, end }: { readonly start: number; readonly end: number },
): Generator<ScannedRecord, void, void> {
  const read = windowed(readPart, end);
  for (let offset = start; offset < end;) {
    const headBytes = recordHeadBytes(read(offset, RECORD_HEADER_BYTES) ?? new Uint8Array());
    const record = headBytes === undefined ? undefined : decodeRecord(read(offset, headBytes) ?? new Uint8Array());
    if (record === undefined) return;
    const payload = read(offset + record.headBytes, record.payloadBytes);
    if (payload === undefined) return;
    const { head } = record;
    const bytes = record.headBytes + record.payloadBytes;
    yield { head, offset, bytes, isSound: head.kind !== "object" || crc32(payload) === head.meta.crc32 };
    offset += bytes;
  }
}

/** Reads ahead, so that many small parts cost few calls. */
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
