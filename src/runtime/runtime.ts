import type { TransferWatch } from "../core/watchdog.ts";

/** The bytes of a response, held by a reader. Must not be used after `release`. */
export interface ByteSource {
  /** Copies the bytes [start, end) to new private memory; undefined if they are not all available now. */
  copy(start: number, end: number): Uint8Array<ArrayBuffer> | undefined;
  /**
   * The bytes [start, end) in order. A chunk in shared memory stays valid until `release`, one in private memory until
   * the next is requested. A throw aborts the response.
   */
  chunks(start: number, end: number): AsyncGenerator<Uint8Array, void, void>;
  /**
   * Releases the bytes; called exactly once, when the runtime no longer reads the memory. `finished`: every byte was
   * handed over.
   */
  release(outcome: "finished" | "aborted"): void;
}

/** Facts about a request that its Request object lacks. */
export interface RequestContext {
  /**
   * Settles when the response has been sent completely or its connection is gone; undefined if the runtime cannot tell.
   */
  readonly completed?: Promise<void>;
  /**
   * Call this before (true) and after (false) waiting for the rest of the request's body; undefined if the runtime
   * times out slow clients itself.
   */
  readonly waitsForBody?: (waits: boolean) => void;
  /** The address of the client; "" if the connection is gone. */
  readonly addressOf?: (request: Request) => string;
  /** Closes the connection of the request; undefined if a body that fails closes it. */
  readonly abort?: () => void;
  /** Set if the runtime has resolved the path to another one than was sent (Bun; see `exactPaths`). */
  readonly isResolved?: true;
}

/** The requests for which the server must know whether their path is the one that was sent. */
export interface ExactPaths {
  /** The start of these paths; ends with a slash. */
  readonly prefix: string;
  readonly methods: readonly string[];
}

/** The end of a body. `complete`: every byte was handed to the runtime. */
export interface SendResult {
  readonly outcome: "complete" | "aborted";
  /** Body bytes handed to the runtime. */
  readonly bytesSent: number;
  /** Set if the body was aborted because the client took it too slowly. */
  readonly isSlow?: true;
}

/** Describes a response. */
export interface SendOptions {
  /** First byte, counted from 0. */
  readonly start: number;
  /** One past the last byte. */
  readonly end: number;
  /** Bytes of memory pinned until the source is released: the size of the whole object. */
  readonly pinnedBytes: number;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly context: RequestContext;
  /** Called exactly once, after the release; for a copied body, before `send` returns. */
  readonly onEnd: (result: SendResult) => void;
}

/** Describes a response whose bytes are at hand. */
export type CopyOptions = Pick<SendOptions, "start" | "end" | "status"> & {
  readonly headers: HeadersInit;
  /** The same object for each response with the same status, header fields and bytes. A sender may keep one by it. */
  readonly sameAs?: object | undefined;
};

/** Makes a Response from bytes whose memory may be reused as soon as they are released. */
export interface Sender {
  /** Bodies up to this many bytes are sent as one private copy, if the source can copy them. */
  readonly copyLimitBytes: number;
  /** Copies the bytes [start, end) of `extents`, whose memory may be reused when it returns. */
  copy(extents: readonly Uint8Array[], options: CopyOptions): Response;
  send(source: ByteSource, options: SendOptions): Response;
}

/** A certificate with its chain, and its private key, as PEM texts. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Options of a server. */
export interface ServeOptions {
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** Lets servers of several threads listen on one port. */
  readonly reusePort: boolean;
  /**
   * Connections without traffic for this long are closed: 0 (never) to 255. Bun checks every 4 s; on Deno this applies
   * only while the server waits for the client to send.
   */
  readonly idleTimeoutSeconds: number;
  /** Serves HTTPS with this certificate; default: HTTP. Throws if the runtime refuses it. */
  readonly certificate?: Certificate | undefined;
  /** The requests for which `isResolved` is reported; default: none. */
  readonly exactPaths?: ExactPaths;
  readonly fetch: (request: Request, context: RequestContext) => Response | Promise<Response>;
  /** Number of requests in flight whose response is endless, such as event streams; default: 0. */
  readonly endlessRequests?: () => number;
  /** Time for which a stop waits for the readers of endless responses when nothing else is left. Default 1000. */
  readonly endlessPatienceMs?: number;
  /** Called with failures that no response can report any more, such as a body that was aborted. */
  readonly onError: (error: unknown) => void;
}

/** A listening server. */
export interface Server {
  readonly address: { readonly host: string; readonly port: number };
  /**
   * Stops accepting connections, lets running requests finish and then closes all connections, including those of
   * endless responses whose readers stall. Requests that still run after `patienceMs` (default: no limit) are aborted;
   * resolves with their number.
   */
  stop(options?: { readonly patienceMs?: number }): Promise<number>;
  /**
   * Stops accepting connections, because another server listens on the same port. Running requests finish, however long
   * they take. Resolves when all connections are closed; `stop` may be called before.
   */
  retire(): Promise<void>;
}

/** Options of a sender. */
export interface SenderOptions {
  /** As in ServeOptions. */
  readonly idleTimeoutSeconds: number;
  /** Aborts the bodies that clients take too slowly; default: none is too slow. */
  readonly transferWatch?: TransferWatch | undefined;
  /**
   * Deno: maximum bytes of objects that unfinished responses may pin; beyond that, bodies are copied chunk by chunk
   * (default 256 MiB).
   */
  readonly pinnedLimitBytes?: number;
  /**
   * Bun: maximum bytes of copied bodies that wait to be sent. Bodies that fit are sent with Content-Length, the others
   * in chunks (default 32 MiB).
   */
  readonly sizedBodyBytes?: number;
}

/** The differences between the runtimes. */
export interface Runtime {
  readonly name: "bun" | "deno";
  readonly version: string;
  /** True if terminating a thread ends it even while it is busy. */
  readonly stopsThreads: boolean;
  serve(options: ServeOptions): Server;
  createSender(options: SenderOptions): Sender;
  /**
   * Frees a chunk of a request's body that is no longer needed, so that chunks do not pile up as garbage. `bodyBytes`:
   * the bytes of the body received so far.
   */
  readonly discard: (chunk: Uint8Array, bodyBytes: number) => void;
}

/** The default of ServeOptions.endlessPatienceMs. */
export const ENDLESS_PATIENCE_MS = 1000;
