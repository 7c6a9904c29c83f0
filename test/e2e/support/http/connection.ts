import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { concatBytes } from "../bytes.ts";
import { HttpResponse, readHead } from "./http_response.ts";
import { SocketReader } from "./socket_reader.ts";

/** Bodies up to this size leave in one write with the head. */
const ONE_WRITE_BYTES = 64 * 1024;

/** Bytes of known length, or pieces that are sent as chunks. */
export type RequestBody = Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** One request; `path` is sent as it is. */
export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: RequestBody;
  /** Length of a body in pieces; without it such a body is chunked. */
  readonly sizeBytes?: number;
}

/** Where a server listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * One HTTP/1.1 connection without retries, redirects or buffers of its own: what is sent and received is exactly known,
 * and a reader can be slow. One request at a time; its body must be read to the end before the next.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #reader: SocketReader;
  readonly #host: string;
  readonly #closed: Promise<void>;
  #open = true;

  private constructor(socket: Socket, address: Address) {
    this.#socket = socket;
    this.#reader = new SocketReader(socket);
    this.#host = `${address.host}:${address.port}`;
    this.#closed = new Promise((resolve) => {
      const close = () => {
        this.#open = false;
        resolve();
      };
      // The error itself reaches whoever reads; here it only must not go unheard.
      socket.on("error", close).once("close", close).once("end", close);
    });
  }

  /** Connects; throws if nobody listens. */
  static async open(address: Address): Promise<Connection> {
    const socket = connect({ ...address, noDelay: true });
    await once(socket, "connect");
    return new Connection(socket, address);
  }

  /** Whether another request may be sent. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** Sends a request and returns when the head of the answer is there. Throws if the connection breaks. */
  async send(request: HttpRequest): Promise<HttpResponse> {
    await this.#writeRequest(request);
    const head = await readHead(this.#reader);
    if (head.headers.get("connection")?.toLowerCase() === "close") this.#open = false;
    return new HttpResponse(head, this.#reader, {
      method: request.method,
      onEnd: () => {
        if (!this.#open) this.close();
      },
    });
  }

  /** Closes at once, whatever is under way. */
  close(): void {
    this.#open = false;
    this.#socket.destroy();
  }

  async #writeRequest(request: HttpRequest): Promise<void> {
    const { body } = request;
    if (body === undefined || body instanceof Uint8Array) {
      const bytes = body ?? new Uint8Array();
      const framing = body === undefined ? {} : { "content-length": String(bytes.byteLength) };
      const head = this.#head(request, framing);
      if (bytes.byteLength <= ONE_WRITE_BYTES) return await this.#write(concatBytes([head, bytes]));
      await this.#write(head);
      return await this.#write(bytes);
    }
    if (request.sizeBytes !== undefined) {
      await this.#write(this.#head(request, { "content-length": String(request.sizeBytes) }));
      for await (const piece of body) await this.#write(piece);
      return;
    }
    await this.#write(this.#head(request, { "transfer-encoding": "chunked" }));
    for await (const piece of body) {
      if (piece.byteLength === 0) continue;
      await this.#write(Buffer.from(`${piece.byteLength.toString(16)}\r\n`));
      await this.#write(piece);
      await this.#write(Buffer.from("\r\n"));
    }
    await this.#write(Buffer.from("0\r\n\r\n"));
  }

  #head({ method, path, headers }: HttpRequest, framing: Readonly<Record<string, string>>): Uint8Array {
    const fields = Object.entries({ host: this.#host, ...headers, ...framing }).map(([name, value]) =>
      `${name}: ${value}\r\n`
    );
    return Buffer.from(`${method} ${path} HTTP/1.1\r\n${fields.join("")}\r\n`);
  }

  /** Resolves when the bytes have left, or the connection is gone: then reading tells. */
  async #write(bytes: Uint8Array): Promise<void> {
    if (!this.#open) return;
    await Promise.race([new Promise<void>((resolve) => this.#socket.write(bytes, () => resolve())), this.#closed]);
  }
}
