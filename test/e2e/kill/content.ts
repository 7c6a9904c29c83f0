import { createHash } from "node:crypto";
import { Random } from "../support/random.ts";

const blockBytes = 4 * 1024 ** 2;
const block = new Random(1).bytes(blockBytes);
const maxSizeBytes = 2 * 1024 ** 2;

/**
 * The bytes that write number `write` of a key stores: any size up to 2 MiB, small ones more often; no two writes have
 * the same, but for empty ones.
 */
export function contentOf(key: string, write: number): Uint8Array {
  const stamp = createHash("sha256").update(`${key} ${write}`).digest();
  const random = new Random(stamp.readUInt32LE(0));
  if (random.below(50) === 0) return new Uint8Array();
  const sizeBytes = random.logUniform(64, maxSizeBytes);
  const offset = random.below(blockBytes - sizeBytes);
  const bytes = block.slice(offset, offset + sizeBytes);
  bytes.set(stamp, random.below(sizeBytes - stamp.byteLength));
  return bytes;
}
