import { crc32 } from "node:zlib";
import { parseMeta } from "../../meta_record.ts";
import { IndexDamage } from "../disk.ts";
import type { IndexRow } from "../folder_calls.ts";

/** The columns that `parseRow` needs. */
export const COLUMNS = "id, tenant, key, segment, offset, bytes, name, file_bytes, meta, sum";

/** A row of the table of objects. `sum` is a CRC-32 of the other columns, because SQLite has no checksums. */
export interface StoredRow {
  readonly id: number;
  readonly tenant: string;
  readonly key: Uint8Array;
  readonly segment: number;
  readonly offset: number;
  readonly bytes: number;
  readonly name: string;
  readonly file_bytes: number;
  readonly meta: string;
  readonly sum: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Encodes a key, or a prefix of keys: SQLite orders blobs by their bytes. */
export function encodeKey(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Returns the columns of an entry. */
export function rowOf({ id, key, record, file, meta }: IndexRow): StoredRow {
  const row = {
    id,
    tenant: key.tenant,
    key: encodeKey(key.key),
    ...record,
    name: file?.name ?? "",
    file_bytes: file?.bytes ?? 0,
    meta: JSON.stringify(meta),
  };
  return { ...row, sum: sumOf(row) };
}

/** Returns the entry of a row. Throws IndexDamage if the row is not as it was written. */
export function parseRow(raw: Readonly<Record<string, unknown>>): IndexRow {
  const key = raw["key"];
  const row = {
    id: Number(raw["id"]),
    tenant: String(raw["tenant"]),
    key: key instanceof Uint8Array ? key : new Uint8Array(),
    segment: Number(raw["segment"]),
    offset: Number(raw["offset"]),
    bytes: Number(raw["bytes"]),
    name: String(raw["name"]),
    file_bytes: Number(raw["file_bytes"]),
    meta: String(raw["meta"]),
  };
  const meta = raw["sum"] === sumOf(row) ? parseMeta(JSON.parse(row.meta)) : undefined;
  if (meta === undefined) throw new IndexDamage("read index: a row is not as it was written");
  const { id, tenant, segment, offset, bytes, name } = row;
  return {
    id,
    key: { tenant, key: decoder.decode(row.key) },
    record: { segment, offset, bytes },
    file: name === "" ? undefined : { name, bytes: row.file_bytes },
    meta,
  };
}

/** Returns the checksum of a row of the table of segments. */
export function segmentSum(id: number, nonce: string, bytes: number): number {
  return crc32(`${id} ${nonce} ${bytes}`);
}

function sumOf(row: Omit<StoredRow, "sum">): number {
  const place = `${row.id} ${row.segment} ${row.offset} ${row.bytes} ${row.name} ${row.file_bytes}`;
  return crc32(`${place} ${row.tenant} ${row.meta}`, crc32(row.key));
}
