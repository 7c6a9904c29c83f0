import { VitrineError } from "../../src/core/errors.ts";
import type { Transfer, TransferWatch } from "../../src/core/watchdog.ts";
import {
  AT_ONCE_BYTES,
  type LateFacts,
  type MaybePromise,
  type PutResult,
  type Upload,
} from "../../src/storage/storage.ts";
import type { AppOptions } from "../app_options.ts";
import type { Exchange } from "../exchange.ts";

/** Bodies up to this size are read in one go; measured on both runtimes (docs/RUNTIMES.md). */
const SMALL_BODY_BYTES = 128 * 1024;

/** The length of a request's body; undefined if it is not announced. Throws bad_request. */
export function bodyLength(request: Request): number | undefined {
  const coding = request.headers.get("transfer-encoding");
  // Deno removes a coding before chunked from the header but not from the bytes (RFC 9112, 6.1).
  if (coding !== null && coding.toLowerCase() !== "chunked") {
    throw new VitrineError("bad_request", `parse Transfer-Encoding: not chunked alone: ${coding}`);
  }
  const length = request.headers.get("content-length");
  if (length === null) return request.body === null ? 0 : undefined;
  return parseLength("Content-Length", length);
}

/** A length in bytes, in the field of this name. Throws bad_request. */
export function parseLength(field: string, length: string): number {
  if (!/^\d{1,15}$/.test(length)) throw new VitrineError("bad_request", `parse ${field}: ${length}`);
  return Number(length);
}

/** Options of receiveBody. */
interface Receiving extends Pick<AppOptions, "discard" | "transferWatch"> {
  /** Undefined if it is not announced. */
  readonly sizeBytes: number | undefined;
  /** Takes the next piece, which may be empty. A body of at most SMALL_BODY_BYTES is one piece, whose memory stays. */
  readonly take: (piece: Uint8Array) => MaybePromise<void>;
}

/** Hands over the body of a request, piece by piece. Throws VitrineError: client_gone, too_slow, too_many_bytes. */
export function receiveBody(
  exchange: Exchange,
  request: Request,
  { sizeBytes, take, discard, transferWatch }: Receiving,
): Promise<void> {
  // `request.body` comes last: it makes a stream, through which the body would be read from then on.
  if (sizeBytes !== undefined && sizeBytes <= SMALL_BODY_BYTES || request.body === null) {
    return wholeBody(exchange, request, transferWatch).then(take);
  }
  return receivePieces(exchange, request, { take, discard, transferWatch });
}

/**
 * Reads a body of at most `maxBytes` that nobody wants, so that it counts as received. Throws like receiveBody, and
 * bad_request.
 */
export async function skipBody(
  exchange: Exchange,
  request: Request,
  { maxBytes, transferWatch }: Pick<AppOptions, "transferWatch"> & { readonly maxBytes: number },
): Promise<void> {
  let bytes = 0;
  for await (const { byteLength } of bodyChunks(exchange, request, { discard() {}, transferWatch })) {
    bytes += byteLength;
    if (bytes > maxBytes) throw new VitrineError("bad_request", `read body: above ${maxBytes} bytes`);
  }
}

async function receivePieces(
  exchange: Exchange,
  request: Request,
  { take, discard, transferWatch }: Omit<Receiving, "sizeBytes">,
): Promise<void> {
  for await (const piece of bodyChunks(exchange, request, { discard, transferWatch })) {
    const taken = take(piece);
    if (taken !== undefined) await taken;
  }
}

async function wholeBody(
  exchange: Exchange,
  request: Request,
  transferWatch: TransferWatch | undefined,
): Promise<Uint8Array> {
  const arrival = new BodyArrival(exchange, transferWatch);
  try {
    return await arrival.of(request.bytes(), ({ byteLength }) => byteLength);
  } finally {
    arrival.end();
  }
}

/** Hands a body to an upload. A small piece that is all of it waits for the last step, which takes it at once. */
export class UploadBody {
  readonly #upload: Upload;
  readonly #sizeBytes: number | undefined;
  #whole: Uint8Array | undefined;

  /** `sizeBytes`: as it was announced. */
  constructor(upload: Upload, sizeBytes: number | undefined) {
    this.#upload = upload;
    this.#sizeBytes = sizeBytes;
  }

  /** Takes the next piece. Memory of at most `AT_ONCE_BYTES` must stay as it is until the upload has ended. */
  take(piece: Uint8Array): MaybePromise<void> {
    const isWhole = piece.length === this.#sizeBytes && piece.length <= AT_ONCE_BYTES;
    if (!isWhole || this.#whole !== undefined) return this.#upload.write(piece);
    this.#whole = piece;
    return undefined;
  }

  /** The last step of the upload; see `Upload.finish`. */
  finish(late?: Omit<LateFacts, "last">): Promise<PutResult> {
    return this.#upload.finish({ ...late, last: this.#whole });
  }
}

/**
 * The chunks of a request's body; each is discarded when the next is asked for. Throws VitrineError: client_gone,
 * too_slow, too_many_bytes.
 */
export async function* bodyChunks(
  exchange: Exchange,
  request: Request,
  { discard, transferWatch }: Pick<AppOptions, "discard" | "transferWatch">,
): AsyncGenerator<Uint8Array, void, void> {
  const reader = request.body?.getReader();
  if (reader === undefined) return;
  const arrival = new BodyArrival(exchange, transferWatch);
  try {
    let receivedBytes = 0;
    for (;;) {
      const next = await arrival.of(reader.read(), ({ value }) => value?.byteLength ?? 0);
      if (next.done) return;
      receivedBytes += next.value.byteLength;
      yield next.value;
      discard(next.value, receivedBytes);
    }
  } finally {
    arrival.end();
    reader.releaseLock();
  }
}

/** Waits for the body of one request. */
class BodyArrival {
  readonly #exchange: Exchange;
  readonly #transfer: Transfer | undefined;
  #fail: (error: unknown) => void = () => {};

  constructor(exchange: Exchange, watch: TransferWatch | undefined) {
    this.#exchange = exchange;
    this.#transfer = watch?.begin(() => this.#fail(new VitrineError("too_slow", "read body: it arrives too slowly")));
  }

  /**
   * Awaits bytes of the client; the runtime knows meanwhile that the server waits for them. Throws VitrineError:
   * client_gone, too_slow, too_many_bytes.
   */
  async of<T>(bytes: Promise<T>, sizeOf: (value: T) => number): Promise<T> {
    const exchange = this.#exchange;
    const { waitsForBody } = exchange.context;
    waitsForBody?.(true);
    this.#transfer?.waits();
    let value: T;
    try {
      value = await new Promise<T>((resolve, reject) => {
        this.#fail = reject;
        bytes.then(resolve, (cause) => reject(new VitrineError("client_gone", "read body: it broke off", { cause })));
      });
    } catch (error) {
      exchange.brokeOff();
      throw error;
    } finally {
      waitsForBody?.(false);
    }
    const size = sizeOf(value);
    this.#transfer?.moved(size);
    exchange.received(size);
    return value;
  }

  /** Nothing is awaited any more. */
  end(): void {
    this.#transfer?.end();
  }
}
