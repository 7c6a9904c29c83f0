import type { Socket } from "node:net";

const CR = 13;
const LF = 10;

/**
 * Reads lines and bytes from a socket on demand: nothing is read from the connection while nobody asks, beyond what the
 * kernel and one stream buffer hold.
 */
export class SocketReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(socket: Socket) {
    this.#chunks = socket[Symbol.asyncIterator]();
  }

  async #fill(): Promise<void> {
    const next = await this.#chunks.next();
    if (next.done === true) throw new Error("read response: connection closed");
    this.#rest = this.#rest.byteLength === 0 ? next.value : Buffer.concat([this.#rest, next.value]);
  }

  /** The next line without its CR LF. */
  async line(): Promise<string> {
    let end = this.#rest.indexOf(LF);
    while (end < 0) {
      await this.#fill();
      end = this.#rest.indexOf(LF);
    }
    const text = new TextDecoder().decode(this.#rest.subarray(0, this.#rest[end - 1] === CR ? end - 1 : end));
    this.#rest = this.#rest.subarray(end + 1);
    return text;
  }

  /** At least 1 and at most `limit` bytes, whatever is there. */
  async some(limit: number): Promise<Uint8Array> {
    while (this.#rest.byteLength === 0) await this.#fill();
    const bytes = this.#rest.subarray(0, limit);
    this.#rest = this.#rest.subarray(bytes.byteLength);
    return bytes;
  }
}
