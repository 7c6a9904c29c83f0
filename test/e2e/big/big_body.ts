import { createHash, type Hash } from "node:crypto";
import { Random } from "../support/random.ts";

const pieceBytes = 1024 ** 2;
const block = new Random(7).bytes(pieceBytes);

/** A body that exists one MiB at a time; every MiB of it is different. */
export class BigBody {
  readonly sizeBytes: number;
  readonly #stamp: string;

  /** `stamp` makes bodies of the same size differ. */
  constructor(stamp: string, sizeMib: number) {
    this.#stamp = stamp;
    this.sizeBytes = sizeMib * pieceBytes;
  }

  /** Its pieces in order, each in memory of its own. */
  *pieces(): Generator<Uint8Array, void, void> {
    for (let i = 0; i < this.sizeBytes / pieceBytes; i++) yield this.#piece(i);
  }

  /** The bytes [start, end). */
  slice(start: number, end: number): Uint8Array {
    const first = Math.floor(start / pieceBytes);
    const last = Math.ceil(end / pieceBytes);
    const pieces = Array.from({ length: last - first }, (_, i) => this.#piece(first + i));
    return Buffer.concat(pieces).subarray(start - first * pieceBytes, end - first * pieceBytes);
  }

  /** SHA-256 of all of it. */
  digest(): string {
    const hash = createHash("sha256");
    for (const piece of this.pieces()) hash.update(piece);
    return hash.digest("base64");
  }

  #piece(index: number): Uint8Array {
    const piece = block.slice();
    piece.set(new TextEncoder().encode(`${this.#stamp} ${index}`));
    return piece;
  }
}

/** SHA-256 of what streams by. */
export async function digestOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const hash: Hash = createHash("sha256");
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest("base64");
}
