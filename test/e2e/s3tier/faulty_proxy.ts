import { once } from "node:events";
import { createServer, type IncomingMessage, request as ask, type Server, type ServerResponse } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import { Random } from "../support/random.ts";

/**
 * What happens to a request. slow: it waits; 500, 503: it does not reach the store; lost: the store carries it out, and
 * the connection ends without a response; cut: the connection ends within the response's body.
 */
const kinds = ["slow", "500", "503", "lost", "cut"] as const;
type Kind = (typeof kinds)[number];

const slowMs = 100;
/** One request of this many meets a fault. */
const everyNth = 6;
/** A tier sends a request three times, so that one of three that look the same gets through. */
const mostFaults = 2;

/** A request, and the response of the store, as a whole. */
interface Exchange {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

/** Options of a FaultyProxy. */
export interface FaultyProxyOptions {
  /** The port of the store, on the loopback interface. */
  readonly target: number;
  /** Draws the faults; missing: there are none. */
  readonly seed?: number;
}

/** An HTTP proxy in front of an S3 store that delays, refuses, loses, cuts and changes what passes. */
export class FaultyProxy {
  readonly #server: Server;
  readonly #target: number;
  readonly #random: Random | undefined;
  /** The faults that each request has met, by what it asks. */
  readonly #met = new Map<string, number>();
  /** The number of faults of each kind. */
  readonly injected = new Map<Kind, number>(kinds.map((kind) => [kind, 0]));
  /** In which bodies one bit is changed on the way: those that are sent to the store, or that it returns. */
  flips: "none" | "requests" | "responses" = "none";

  private constructor({ target, seed }: FaultyProxyOptions) {
    this.#target = target;
    this.#random = seed === undefined ? undefined : new Random(seed);
    this.#server = createServer((request, response) => {
      void this.#pass(request, response).catch(() => response.destroy());
    });
  }

  static async start(options: FaultyProxyOptions): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(options);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("proxy: not listening");
    return address.port;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bytesOf(request);
    const kind = this.#draw(request);
    if (kind === "500" || kind === "503") {
      const code = kind === "500" ? "InternalError" : "SlowDown";
      response.writeHead(Number(kind), { "content-type": "application/xml" });
      response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>injected</Message></Error>`);
      return;
    }
    if (kind === "slow") await wait(slowMs);
    const exchange = await this.#forward(request, this.flips === "requests" ? flipped(body) : body);
    const isCut = kind === "lost" || kind === "cut";
    const bytes = this.flips === "responses" && exchange.status < 300 ? flipped(exchange.body) : exchange.body;
    if (!isCut) {
      response.writeHead(exchange.status, exchange.headers).end(bytes);
      return;
    }
    if (kind === "cut" && bytes.length > 1) {
      response.writeHead(exchange.status, exchange.headers);
      await new Promise((resolve) => response.write(bytes.subarray(0, bytes.length / 2), resolve));
    }
    request.socket.destroy();
  }

  /** The fault of a request. A probe meets none: it is sent once, and then all calls would fail. */
  #draw({ method = "", url = "", headers: { range = "" } }: IncomingMessage): Kind | undefined {
    if (this.#random === undefined || url.endsWith("/no-object") || this.#random.below(everyNth) > 0) return undefined;
    const what = `${method} ${url} ${range}`;
    const met = this.#met.get(what) ?? 0;
    if (met >= mostFaults) return undefined;
    this.#met.set(what, met + 1);
    const kind = kinds[this.#random.below(kinds.length)];
    if (kind !== undefined) this.injected.set(kind, (this.injected.get(kind) ?? 0) + 1);
    return kind;
  }

  async #forward({ method, url, headers }: IncomingMessage, body: Buffer): Promise<Exchange> {
    const forwarded = ask({ host: "127.0.0.1", port: this.#target, method, path: url, headers });
    const answered = once(forwarded, "response");
    forwarded.end(body);
    const answer: readonly IncomingMessage[] = await answered;
    const [reply] = answer;
    if (reply === undefined) throw new Error("proxy: no response");
    return { status: reply.statusCode ?? 0, headers: reply.headers, body: await bytesOf(reply) };
  }
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of message) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A copy with one bit changed in the middle. */
function flipped(body: Buffer): Buffer {
  const copy = Buffer.from(body);
  const at = Math.floor(copy.length / 2);
  if (copy.length > 0) copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
  return copy;
}
