import { Buffer } from "node:buffer";
import type { ChunkSignatures } from "../../../src/access/sigv4.ts";
import { s3Error } from "./s3_error.ts";

/** Maximum length of a chunk's head or of a trailer field in bytes. */
const MAX_LINE_BYTES = 1024;
/** Maximum number of trailer fields. */
const MAX_TRAILERS = 8;

const HEAD = /^([0-9a-f]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?$/i;
const FIELD = /^([!#$%&'*+.^_`|~0-9a-z-]+)[ \t]*:[ \t]*([\x20-\x7e]*?)[ \t]*$/i;

/**
 * Takes a body of `aws-chunked` apart as it arrives:
 * `{size in hex}[;chunk-signature={hex}] CRLF {bytes} CRLF`, an empty chunk, trailer fields, an empty line. Between two
 * pieces of the body it keeps one line at most.
 */
export class AwsChunkedDecoder {
  readonly #signatures: ChunkSignatures | undefined;
  readonly #hasTrailer: boolean;
  readonly #trailers = new Map<string, string>();
  #state: "head" | "data" | "dataEnd" | "trailer" | "end" = "head";
  #line = "";
  #leftBytes = 0;
  #signature = "";
  /** The trailer as its signature sees it. */
  #signedTrailer = "";

  /**
   * `signatures`: every chunk and the trailer must be signed. `hasTrailer`: false if the body ends with the empty
   * chunk.
   */
  constructor(options: { readonly signatures: ChunkSignatures | undefined; readonly hasTrailer: boolean }) {
    this.#signatures = options.signatures;
    this.#hasTrailer = options.hasTrailer;
  }

  /** The trailer fields by their names in lower case, once the body has ended. */
  get trailers(): ReadonlyMap<string, string> {
    return this.#trailers;
  }

  /** The bytes of the object in the next piece of the body. Throws IncompleteBody, SignatureDoesNotMatch. */
  *decode(piece: Uint8Array): Generator<Uint8Array, void, void> {
    for (let at = 0; at < piece.length;) {
      if (this.#state === "data") {
        const data = piece.subarray(at, at + this.#leftBytes);
        at += data.length;
        this.#leftBytes -= data.length;
        this.#signatures?.add(data);
        if (this.#leftBytes === 0) this.#endData();
        yield data;
        continue;
      }
      const lineEnd = piece.indexOf(10, at);
      const end = lineEnd < 0 ? piece.length : lineEnd + 1;
      if (this.#line.length + end - at > MAX_LINE_BYTES) throw malformed(`a line of more than ${MAX_LINE_BYTES} bytes`);
      this.#line += Buffer.from(piece.buffer, piece.byteOffset + at, end - at).toString("latin1");
      at = end;
      if (lineEnd >= 0) this.#endLine();
    }
  }

  /** Throws IncompleteBody if the body ended early. */
  end(): void {
    // Some clients leave out the empty line after the last chunk.
    const isOver = this.#state === "end" || (this.#state === "trailer" && !this.#hasTrailer && this.#line === "");
    if (!isOver) throw malformed("it ended early");
  }

  #endLine(): void {
    if (!this.#line.endsWith("\r\n")) throw malformed("a line without CRLF");
    const line = this.#line.slice(0, -2);
    this.#line = "";
    if (this.#state === "head") this.#startChunk(line);
    else if (this.#state === "dataEnd" && line === "") this.#state = "head";
    else if (this.#state === "trailer") this.#addTrailer(line);
    else throw malformed("bytes where it should have ended, or no CRLF after a chunk");
  }

  #startChunk(line: string): void {
    const [, size, signature] = HEAD.exec(line) ?? [];
    if (size === undefined) throw malformed("the head of a chunk");
    if (this.#signatures !== undefined && signature === undefined) throw unsigned();
    this.#signature = signature ?? "";
    this.#leftBytes = Number.parseInt(size, 16);
    this.#state = "data";
    if (this.#leftBytes > 0) return;
    this.#endData();
    this.#state = "trailer";
  }

  #endData(): void {
    this.#state = "dataEnd";
    if (this.#signatures?.endChunk(this.#signature) === false) throw unsigned();
  }

  #addTrailer(line: string): void {
    if (line === "") {
      if (this.#signatures !== undefined && this.#hasTrailer && !this.#trailers.has(SIGNATURE)) throw unsigned();
      this.#state = "end";
      return;
    }
    const [, name, value] = FIELD.exec(line) ?? [];
    if (name === undefined || value === undefined || !this.#hasTrailer) throw malformed("a trailer field");
    if (this.#trailers.has(SIGNATURE)) throw malformed("a trailer field after the signature");
    if (this.#trailers.size >= MAX_TRAILERS) throw malformed(`more than ${MAX_TRAILERS} trailer fields`);
    const field = name.toLowerCase();
    this.#trailers.set(field, value);
    if (field !== SIGNATURE) this.#signedTrailer += `${field}:${value}\n`;
    else if (this.#signatures?.endTrailer(value, this.#signedTrailer) === false) throw unsigned();
  }
}

const SIGNATURE = "x-amz-trailer-signature";

function malformed(reason: string) {
  return s3Error("IncompleteBody", `decode aws-chunked body: ${reason}`);
}

function unsigned() {
  return s3Error("SignatureDoesNotMatch", "check signature of a chunk: it is not of its bytes");
}
