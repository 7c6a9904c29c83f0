import { concatBytes } from "../bytes.ts";
import type { SocketReader } from "./socket_reader.ts";

/** The status and the headers of an answer. */
export interface ResponseHead {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
}

async function readOneHead(reader: SocketReader): Promise<ResponseHead> {
  const statusLine = await reader.line();
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(statusLine)?.[1]);
  if (Number.isNaN(status)) throw new Error(`read response: bad status line: ${statusLine}`);
  const headers = new Map<string, string>();
  for (let line = await reader.line(); line !== ""; line = await reader.line()) {
    const colon = line.indexOf(":");
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status, headers };
}

/** The final answer's head; informational answers before it (100 Continue) are skipped. */
export async function readHead(reader: SocketReader): Promise<ResponseHead> {
  let head = await readOneHead(reader);
  while (head.status < 200) head = await readOneHead(reader);
  return head;
}

async function* exactly(reader: SocketReader, sizeBytes: number): AsyncGenerator<Uint8Array, void, void> {
  let left = sizeBytes;
  while (left > 0) {
    const bytes = await reader.some(left);
    left -= bytes.byteLength;
    yield bytes;
  }
}

async function* chunked(reader: SocketReader): AsyncGenerator<Uint8Array, void, void> {
  for (;;) {
    const sizeBytes = Number.parseInt(await reader.line(), 16);
    if (Number.isNaN(sizeBytes)) throw new Error("read response: bad chunk size");
    yield* exactly(reader, sizeBytes);
    if ((await reader.line()) !== "") throw new Error("read response: chunk without its end");
    if (sizeBytes === 0) return;
  }
}

/** One answer (RFC 9112): head at once, body on demand. A body that breaks off throws. */
export class HttpResponse {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly #reader: SocketReader;
  readonly #hasBody: boolean;
  readonly #onEnd: (bodyBytes: number) => void;

  constructor(
    head: ResponseHead,
    reader: SocketReader,
    options: { readonly method: string; readonly onEnd: (bodyBytes: number) => void },
  ) {
    this.status = head.status;
    this.headers = head.headers;
    this.#reader = reader;
    this.#hasBody = options.method !== "HEAD" && head.status !== 204 && head.status !== 304;
    this.#onEnd = options.onEnd;
  }

  /** The body in pieces as they arrive; nothing is read while the caller takes nothing. Once only. */
  async *chunks(): AsyncGenerator<Uint8Array, void, void> {
    let sizeBytes = 0;
    for await (const chunk of this.#pieces()) {
      sizeBytes += chunk.byteLength;
      yield chunk;
    }
    this.#onEnd(sizeBytes);
  }

  #pieces(): AsyncGenerator<Uint8Array, void, void> {
    if (!this.#hasBody) return exactly(this.#reader, 0);
    if (this.headers.get("transfer-encoding")?.toLowerCase() === "chunked") return chunked(this.#reader);
    const length = this.headers.get("content-length");
    if (length === undefined) throw new Error("read response: neither length nor chunks");
    return exactly(this.#reader, Number(length));
  }

  /** The whole body. */
  async bytes(): Promise<Uint8Array> {
    return concatBytes(await Array.fromAsync(this.chunks()));
  }

  /** The whole body as UTF-8. */
  async text(): Promise<string> {
    return new TextDecoder().decode(await this.bytes());
  }
}
