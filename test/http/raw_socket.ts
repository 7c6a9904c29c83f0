import { connect, type Socket } from "node:net";

/** A response as it came over the wire. */
export interface RawResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** A client that decides about every byte it sends and when it reads. */
export class RawSocket {
  readonly #socket: Socket;
  #buffered = Buffer.alloc(0);
  #closed = false;
  #wake = () => {};

  constructor(port: number) {
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.on("data", (data: Uint8Array) => {
      this.#buffered = Buffer.concat([this.#buffered, data]);
      // Reading goes on only when somebody asks for more: a socket nobody reads from is a stalled reader.
      this.#socket.pause();
      this.#wake();
    });
    const closed = () => {
      this.#closed = true;
      this.#wake();
    };
    this.#socket.on("end", closed).on("close", closed).on("error", closed);
    this.#socket.pause();
  }

  write(data: string | Uint8Array): this {
    this.#socket.write(data);
    return this;
  }

  /** Half-closes: no more bytes will come from here. */
  end(): this {
    this.#socket.end();
    return this;
  }

  /** Goes away without a word. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** The next `bytes` bytes; throws if the connection closes before. */
  async take(bytes: number): Promise<Uint8Array> {
    const parts: Buffer[] = [];
    let missing = bytes;
    for (;;) {
      const part = this.#buffered.subarray(0, missing);
      this.#buffered = this.#buffered.subarray(part.length);
      parts.push(part);
      missing -= part.length;
      if (missing === 0) return Buffer.concat(parts);
      await this.#more();
    }
  }

  /** The next line without its CRLF; throws if the connection closes before. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#buffered.indexOf("\r\n");
      if (end >= 0) {
        const line = this.#buffered.toString("latin1", 0, end);
        this.#buffered = this.#buffered.subarray(end + 2);
        return line;
      }
      await this.#more();
    }
  }

  /** Status and headers of the next response. */
  async head(): Promise<{ readonly status: number; readonly headers: Headers }> {
    const status = Number((await this.line()).split(" ")[1]);
    const headers = new Headers();
    for (let line = await this.line(); line !== ""; line = await this.line()) {
      const colon = line.indexOf(":");
      headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
    }
    return { status, headers };
  }

  /** The next response, whole; throws if it breaks off. `bodyless`: it answers a HEAD. */
  async response(bodyless = false): Promise<RawResponse> {
    const { status, headers } = await this.head();
    if (bodyless || status < 200 || status === 204 || status === 304) return { status, headers, body: Buffer.alloc(0) };
    return { status, headers, body: await this.body(headers) };
  }

  /** The body that follows a head. */
  async body(headers: Headers): Promise<Uint8Array> {
    if (headers.get("transfer-encoding") !== "chunked") return this.take(Number(headers.get("content-length")));
    const parts: Uint8Array[] = [];
    for (;;) {
      const bytes = parseInt(await this.line(), 16);
      if (bytes > 0) parts.push(await this.take(bytes));
      await this.line();
      if (bytes === 0) return Buffer.concat(parts);
    }
  }

  /** Reads to the end of the connection and throws what comes away. */
  async closed(): Promise<void> {
    while (!this.#closed) {
      this.#buffered = Buffer.alloc(0);
      await this.#more().catch(() => {});
    }
  }

  async #more(): Promise<void> {
    if (this.#closed) throw new Error("read from server: the connection closed");
    const arrived = new Promise<void>((resolve) => this.#wake = resolve);
    this.#socket.resume();
    await arrived;
  }
}
