import { Buffer } from "node:buffer";
import { createHash, type Hash } from "node:crypto";
import type { ChunkSignatures } from "../../../src/access/sigv4.ts";
import { VitrineError } from "../../../src/core/errors.ts";
import type { MaybePromise } from "../../../src/storage/storage.ts";
import type { AppOptions } from "../../app_options.ts";
import type { Exchange } from "../../exchange.ts";
import { bodyLength, parseLength, receiveBody } from "../../http/body.ts";
import { AwsChunkedDecoder } from "./aws_chunked.ts";
import {
  announcedChecksum,
  type Checksum,
  type ChecksumName,
  checksumNameOf,
  isChecksum,
  type RunningChecksum,
  startChecksum,
} from "./checksums.ts";
import { s3Error } from "./s3_error.ts";

const SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const STREAMS: Readonly<Record<string, { readonly isSigned: boolean; readonly hasTrailer: boolean }>> = {
  [SIGNED_CHUNKS]: { isSigned: true, hasTrailer: false },
  [`${SIGNED_CHUNKS}-TRAILER`]: { isSigned: true, hasTrailer: true },
  "STREAMING-UNSIGNED-PAYLOAD-TRAILER": { isSigned: false, hasTrailer: true },
};

/** The text of `x-amz-content-sha256` that promises nothing about the body. */
export const UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD";

/** Options of a Payload. */
export interface PayloadOptions extends Pick<AppOptions, "discard" | "transferWatch"> {
  /** Checks the chunks of a signed stream; undefined where the server has no key for them. */
  readonly signatures: ChunkSignatures | undefined;
  /** True: compute the MD5 of the body, whatever the request announces. */
  readonly needsMd5?: boolean;
  /** True: the storage verifies `sha256`, so that the bytes are hashed once. */
  readonly leavesSha256?: boolean;
  /** False: `x-amz-checksum-*` says something of another body (default true). */
  readonly hasChecksum?: boolean;
}

/**
 * The body of one S3 request. Takes its framing away, and verifies everything that the request says about it:
 * `x-amz-content-sha256`, `Content-MD5`, `x-amz-checksum-*` in the header or the trailer, the signatures of chunks.
 */
export class Payload {
  /** The length of the object; undefined if it was not announced. */
  readonly sizeBytes: number | undefined;
  /** The SHA-256 that the bytes must have, in base64; "" if none was announced before the body. */
  readonly sha256: string;
  /** The checksum whose value there will be. */
  readonly checksumName: ChecksumName | undefined;
  readonly #request: Request;
  readonly #exchange: Exchange;
  readonly #options: PayloadOptions;
  readonly #decoder: AwsChunkedDecoder | undefined;
  readonly #contentMd5: string | undefined;
  readonly #announced: Checksum | undefined;
  readonly #md5: Hash | undefined;
  readonly #sha256: Hash | undefined;
  readonly #running: RunningChecksum | undefined;

  /** Throws for what a request says wrongly about its body. */
  constructor(exchange: Exchange, request: Request, options: PayloadOptions) {
    const { headers } = request;
    this.#exchange = exchange;
    this.#request = request;
    this.#options = options;
    const hash = headers.get("x-amz-content-sha256") ?? UNSIGNED_PAYLOAD;
    const stream = STREAMS[hash];
    const isHash = /^[0-9a-f]{64}$/i.test(hash);
    if (stream === undefined && !isHash && hash !== UNSIGNED_PAYLOAD) {
      const isKnown = hash.startsWith("STREAMING-");
      throw s3Error(isKnown ? "NotImplemented" : "InvalidArgument", `parse x-amz-content-sha256: ${hash}`);
    }
    this.#decoder = stream === undefined ? undefined : new AwsChunkedDecoder({
      hasTrailer: stream.hasTrailer,
      signatures: stream.isSigned ? options.signatures : undefined,
    });
    this.sizeBytes = stream === undefined ? bodyLength(request) : decodedLengthOf(headers);
    this.#contentMd5 = contentMd5Of(headers);
    this.#announced = options.hasChecksum === false ? undefined : announcedChecksum(headers);
    this.checksumName = this.#announced?.name ?? trailingChecksum(headers);
    this.sha256 = isHash ? Buffer.from(hash, "hex").toString("base64") : "";
    this.#md5 = options.needsMd5 === true || this.#contentMd5 !== undefined ? createHash("md5") : undefined;
    this.#sha256 = isHash && options.leavesSha256 !== true ? createHash("sha256") : undefined;
    this.#running = this.checksumName === undefined ? undefined : startChecksum(this.checksumName);
  }

  /** Hands the bytes over in order. Throws BadDigest and others if they are not those that were announced. */
  async receive(take: (bytes: Uint8Array) => MaybePromise<void>): Promise<PayloadResult> {
    await receiveBody(this.#exchange, this.#request, {
      ...this.#options,
      sizeBytes: bodyLength(this.#request),
      take: (piece) => this.#take(piece, take),
    });
    return this.#end();
  }

  /** The whole body. Throws MalformedXML above `maxBytes`: it is for documents. */
  async readAll(maxBytes: number): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    const tooLong = () => s3Error("MalformedXML", `read body: more than ${maxBytes} bytes`);
    if ((this.sizeBytes ?? 0) > maxBytes) throw tooLong();
    await this.receive((piece) => {
      bytes += piece.length;
      if (bytes > maxBytes) throw tooLong();
      pieces.push(piece.slice());
    });
    return Buffer.concat(pieces);
  }

  #take(piece: Uint8Array, take: (bytes: Uint8Array) => MaybePromise<void>): MaybePromise<void> {
    if (this.#decoder !== undefined) return this.#takeFramed(this.#decoder, piece, take);
    this.#hash(piece);
    return piece.length === 0 ? undefined : take(piece);
  }

  async #takeFramed(
    decoder: AwsChunkedDecoder,
    piece: Uint8Array,
    take: (bytes: Uint8Array) => MaybePromise<void>,
  ): Promise<void> {
    for (const data of decoder.decode(piece)) {
      this.#hash(data);
      await take(data);
    }
  }

  #hash(bytes: Uint8Array): void {
    this.#md5?.update(bytes);
    this.#sha256?.update(bytes);
    this.#running?.update(bytes);
  }

  #end(): PayloadResult {
    this.#decoder?.end();
    if (this.#sha256 !== undefined && this.#sha256.digest("base64") !== this.sha256) {
      throw s3Error("XAmzContentSHA256Mismatch", "verify body: its SHA-256 is not x-amz-content-sha256");
    }
    const md5 = this.#md5?.digest();
    if (this.#contentMd5 !== undefined && md5?.toString("base64") !== this.#contentMd5) {
      throw s3Error("BadDigest", "verify body: its MD5 is not Content-MD5");
    }
    return { md5: md5?.toString("hex"), checksum: this.#endChecksum() };
  }

  #endChecksum(): Checksum | undefined {
    const name = this.checksumName;
    if (name === undefined || this.#running === undefined) return undefined;
    const announced = this.#announced?.value ?? this.#decoder?.trailers.get(`x-amz-checksum-${name}`);
    if (announced === undefined || !isChecksum({ name, value: announced })) {
      throw s3Error("InvalidRequest", `verify body: no ${name} in its trailer`);
    }
    const value = this.#running.digest();
    if (value !== announced) throw s3Error("BadDigest", `verify body: its ${name} is not the one announced`);
    return { name, value };
  }
}

/** What is known of a body that has arrived and is the right one. */
export interface PayloadResult {
  /** In hexadecimal digits; undefined if it was neither announced nor needed. */
  readonly md5: string | undefined;
  /** The checksum that the client gave. */
  readonly checksum: Checksum | undefined;
}

function decodedLengthOf(headers: Headers): number {
  const length = headers.get("x-amz-decoded-content-length");
  if (length === null) throw new VitrineError("length_required", "parse x-amz-decoded-content-length: there is none");
  return parseLength("x-amz-decoded-content-length", length);
}

function contentMd5Of(headers: Headers): string | undefined {
  const value = headers.get("content-md5") ?? undefined;
  if (value === undefined) return undefined;
  const bytes = Buffer.from(value, "base64");
  if (bytes.length === 16 && bytes.toString("base64") === value) return value;
  throw s3Error("InvalidDigest", `parse Content-MD5: ${value}`);
}

/** The checksum that `x-amz-trailer` announces. */
function trailingChecksum(headers: Headers): ChecksumName | undefined {
  const trailer = headers.get("x-amz-trailer");
  if (trailer === null) return undefined;
  const name = checksumNameOf(trailer.trim().toLowerCase());
  if (name === undefined) throw s3Error("NotImplemented", `verify body: ${trailer} is not supported`);
  return name;
}
