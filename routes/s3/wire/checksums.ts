import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { s3Error } from "./s3_error.ts";

/** The checksums of S3 that are supported, with their lengths in bytes. */
const LENGTHS = { crc32: 4, crc32c: 4, crc64nvme: 8, sha1: 20, sha256: 32 } as const;

/** A checksum of S3, as in `x-amz-checksum-{name}`. */
export type ChecksumName = keyof typeof LENGTHS;

/** A checksum and its value in base64. */
export interface Checksum {
  readonly name: ChecksumName;
  readonly value: string;
}

/** A checksum that is being computed. */
export interface RunningChecksum {
  update(bytes: Uint8Array): void;
  /** In base64. */
  digest(): string;
}

const PREFIX = "x-amz-checksum-";

/** The field that carries a checksum. */
export function checksumField(name: ChecksumName): string {
  return PREFIX + name;
}

/** The checksum that a field carries; undefined for any other field. */
export function checksumNameOf(field: string): ChecksumName | undefined {
  const name = field.startsWith(PREFIX) ? field.slice(PREFIX.length) : "";
  return isChecksumName(name) ? name : undefined;
}

/** True if the value has as many bytes as the checksum. */
export function isChecksum({ name, value }: Checksum): boolean {
  const bytes = Buffer.from(value, "base64");
  return bytes.length === LENGTHS[name] && bytes.toString("base64") === value;
}

/** A value of the right length, whose place the real one will take. */
export function placeholderOf(name: ChecksumName): string {
  return Buffer.alloc(LENGTHS[name]).toString("base64");
}

/**
 * The one checksum in the header fields of a request. Throws InvalidRequest for several, and for one that is malformed
 * or not supported: the body would stay unverified.
 */
export function announcedChecksum(headers: Headers): Checksum | undefined {
  let found: Checksum | undefined;
  for (const [field, value] of headers) {
    if (!field.startsWith(PREFIX) || !VALUES.has(field.slice(PREFIX.length))) continue;
    const name = checksumNameOf(field);
    if (name === undefined) throw s3Error("NotImplemented", `verify body: ${field} is not supported`);
    if (found !== undefined) throw s3Error("InvalidRequest", "verify body: more than one checksum");
    found = { name, value };
    if (!isChecksum(found)) throw s3Error("InvalidRequest", `parse ${field}: ${value}`);
  }
  return found;
}

/** Fields with a value; others that begin alike, such as `x-amz-checksum-mode`, say something else. */
const VALUES: ReadonlySet<string> = new Set([
  ...Object.keys(LENGTHS),
  "md5",
  "sha512",
  "xxhash3",
  "xxhash64",
  "xxhash128",
]);

/** Begins a checksum. */
export function startChecksum(name: ChecksumName): RunningChecksum {
  if (name === "sha1" || name === "sha256") {
    const hash = createHash(name);
    return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest("base64") };
  }
  if (name === "crc64nvme") {
    const crc = new Crc64();
    return { update: (bytes) => crc.update(bytes), digest: () => Buffer.from(crc.digest()).toString("base64") };
  }
  const step = name === "crc32" ? crc32 : crc32c;
  let crc = 0;
  return {
    update: (bytes) => void (crc = step(bytes, crc)),
    digest() {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(crc >>> 0);
      return bytes.toString("base64");
    },
  };
}

function isChecksumName(name: string): name is ChecksumName {
  return Object.hasOwn(LENGTHS, name);
}

/** CRC-32C (Castagnoli, RFC 3720 B.4), reflected. */
const CRC32C_POLYNOMIAL = 0x82f63b78;
/** CRC-64/NVME (NVM Express 1.0, TP 4068), reflected: the upper and the lower half. */
const CRC64_HIGH = 0x9a6c9329;
const CRC64_LOW = 0xac4bc9b5;

const crc32cTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ CRC32C_POLYNOMIAL : crc >>> 1;
  return crc;
});

/** Continues a CRC-32C with these bytes; it begins with 0. */
function crc32c(bytes: Uint8Array, before: number = 0): number {
  let crc = ~before;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ (crc32cTable[(crc ^ (bytes[i] ?? 0)) & 255] ?? 0);
  return ~crc >>> 0;
}

const crc64High = new Uint32Array(256);
const crc64Low = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let [high, low] = [0, byte];
  for (let bit = 0; bit < 8; bit++) {
    const isOdd = low & 1;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
    if (isOdd) [high, low] = [high ^ CRC64_HIGH, low ^ CRC64_LOW];
  }
  [crc64High[byte], crc64Low[byte]] = [high, low];
}

/** A running CRC-64/NVME, in two halves because a JavaScript number has 53 bits. */
class Crc64 {
  #high = -1;
  #low = -1;

  update(bytes: Uint8Array): void {
    let high = this.#high;
    let low = this.#low;
    for (let i = 0; i < bytes.length; i++) {
      const index = (low ^ (bytes[i] ?? 0)) & 255;
      low = ((low >>> 8) | (high << 24)) ^ (crc64Low[index] ?? 0);
      high = (high >>> 8) ^ (crc64High[index] ?? 0);
    }
    this.#high = high;
    this.#low = low;
  }

  /** The 8 bytes, most significant first. */
  digest(): Uint8Array {
    const bytes = new DataView(new ArrayBuffer(8));
    bytes.setInt32(0, ~this.#high);
    bytes.setInt32(4, ~this.#low);
    return new Uint8Array(bytes.buffer);
  }
}
