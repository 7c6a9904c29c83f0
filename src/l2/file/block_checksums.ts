import { crc32 } from "node:zlib";
import { BLOCK_BYTES } from "./format.ts";

/** The CRC-32 of each block of a payload, and of the whole, in one pass over the bytes. */
export class BlockChecksums {
  readonly #shift = new ZeroBytes();
  readonly #full: number[] = [];
  /** Of all full blocks together. */
  #fullCrc = 0;
  #fillBytes = 0;
  #fillCrc = 0;

  add(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + BLOCK_BYTES - this.#fillBytes);
      this.#fillCrc = crc32(part, this.#fillCrc);
      this.#fillBytes += part.length;
      at += part.length;
      if (this.#fillBytes === BLOCK_BYTES) this.#endBlock();
    }
  }

  /** Of each block so far, a last one that is not full included. */
  get blocks(): readonly number[] {
    return this.#fillBytes === 0 ? this.#full : [...this.#full, this.#fillCrc];
  }

  /** Of all bytes so far. */
  get whole(): number {
    return (this.#shift.behind(this.#fullCrc, this.#fillBytes) ^ this.#fillCrc) >>> 0;
  }

  #endBlock(): void {
    this.#full.push(this.#fillCrc);
    this.#fullCrc = this.whole;
    this.#fillBytes = 0;
    this.#fillCrc = 0;
  }
}

/** CRC-32's polynomial, its lowest bit the highest power. */
const POLYNOMIAL = 0xedb88320;

/** A CRC-32 moved on by zero bytes, as zlib's crc32_combine does it: by matrices over GF(2) for powers of two. */
class ZeroBytes {
  /** For one bit, then two, four and so on: column `n` is what becomes of bit `n`. */
  readonly #matrices: Uint32Array[] = [
    Uint32Array.from({ length: 32 }, (_, bit) => bit === 0 ? POLYNOMIAL : 2 ** (bit - 1)),
  ];

  behind(crc: number, zeroBytes: number): number {
    let moved = crc;
    // From bytes to bits: three powers of two on.
    for (let left = zeroBytes, power = 3; left > 0; left = Math.floor(left / 2), power += 1) {
      if (left % 2 === 1) moved = product(this.#matrix(power), moved);
    }
    return moved;
  }

  #matrix(power: number): Uint32Array {
    const known = this.#matrices[power];
    if (known !== undefined) return known;
    const half = this.#matrix(power - 1);
    const matrix = half.map((column) => product(half, column));
    this.#matrices[power] = matrix;
    return matrix;
  }
}

function product(matrix: Uint32Array, vector: number): number {
  let sum = 0;
  for (let bit = 0, left = vector; left !== 0; bit += 1, left >>>= 1) {
    if ((left & 1) === 1) sum ^= matrix[bit] ?? 0;
  }
  return sum >>> 0;
}
