import { type Address, Connection, type HttpRequest } from "./connection.ts";
import type { Exchange, Ledger } from "../ledger.ts";

/** Milliseconds after which a connection that waits is not used again: the server may be about to close it. */
const REUSE_MS = 1000;

/** What came back, with its body read to the end. */
export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
}

/**
 * Keeps connections open between requests and writes every exchange into a ledger. Throws when a connection breaks;
 * never tries again.
 */
export class Client {
  readonly #address: Address;
  readonly #ledger: Pick<Ledger, "record">;
  readonly #idle: { readonly connection: Connection; readonly sinceMs: number }[] = [];

  constructor(address: Address, ledger: Pick<Ledger, "record">) {
    this.#address = address;
    this.#ledger = ledger;
  }

  /** Sends a request and reads the whole answer. */
  async request(request: HttpRequest): Promise<Answer> {
    const connection = await this.#take();
    try {
      const response = await connection.send(request);
      const body = await response.bytes();
      const { status, headers } = response;
      this.#ledger.record(exchangeOf(request, { status, headers, body }));
      if (connection.isOpen) this.#idle.push({ connection, sinceMs: performance.now() });
      return { status, headers, body };
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Closes the connections that wait. */
  close(): void {
    for (const { connection } of this.#idle.splice(0)) connection.close();
  }

  async #take(): Promise<Connection> {
    for (let next = this.#idle.pop(); next !== undefined; next = this.#idle.pop()) {
      if (next.connection.isOpen && performance.now() - next.sinceMs < REUSE_MS) return next.connection;
      next.connection.close();
    }
    return await Connection.open(this.#address);
  }
}

function bodyBytes({ body, sizeBytes }: HttpRequest): number {
  if (body === undefined) return 0;
  if (body instanceof Uint8Array) return body.byteLength;
  if (Array.isArray(body)) return body.reduce((sum, piece: Uint8Array) => sum + piece.byteLength, 0);
  if (sizeBytes === undefined) throw new Error("ledger: a body of unknown length");
  return sizeBytes;
}

function exchangeOf(request: HttpRequest, answer: Answer): Exchange {
  return {
    method: request.method,
    path: request.path,
    status: answer.status,
    requestBytes: bodyBytes(request),
    responseBytes: answer.body.byteLength,
    cacheStatus: answer.headers.get("cache-status") ?? "",
  };
}
