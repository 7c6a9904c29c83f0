/** Bytes that one reader holds, to be sent. Nothing here may be used after `release`. */
export interface ByteSource {
  /** The bytes [start, end) in fresh private memory if they are all at hand now, else undefined. */
  copy(start: number, end: number): Uint8Array<ArrayBuffer> | undefined;
  /**
   * The bytes [start, end) in order. A chunk over shared memory stays valid until `release`, one in private memory
   * until the next is asked for. A throw breaks the response off.
   */
  chunks(start: number, end: number): AsyncGenerator<Uint8Array, void, void>;
  /**
   * Gives the hold back; called exactly once, when the runtime reads the memory no more. `finished`: every byte was
   * handed over.
   */
  release(outcome: "finished" | "aborted"): void;
}

/** What a runtime knows of the request beside the Request itself. */
export interface RequestContext {
  /**
   * Settles when the response has left completely or its connection is gone; undefined where the runtime does not tell.
   */
  readonly completed?: Promise<void>;
  /**
   * Told before (true) and after (false) the rest of the request's body is waited for; undefined where the runtime sees
   * to its clients itself.
   */
  readonly waitsForBody?: (waits: boolean) => void;
  /** The address of the other end of the request's connection; "" if it is gone. */
  readonly addressOf?: (request: Request) => string;
  /** Set if the runtime has resolved the path that was sent into another (Bun; see `exactPaths`). */
  readonly isResolved?: true;
}

/** Requests whose path has to be what was sent. */
export interface ExactPaths {
  /** Ends with a slash. */
  readonly prefix: string;
  readonly methods: readonly string[];
}

/** How a body ended. `complete`: every byte was handed to the runtime. */
export interface SendResult {
  readonly outcome: "complete" | "aborted";
  /** Body bytes handed to the runtime. */
  readonly bytesSent: number;
}

/** What is sent, and to whom. */
export interface SendOptions {
  /** First byte, counted from 0. */
  readonly start: number;
  /** One past the last byte. */
  readonly end: number;
  /** Bytes of memory the source pins until it is released: the size of the whole object. */
  readonly pinnedBytes: number;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly context: RequestContext;
  /** Called exactly once, after the release. For a body that is copied: before `send` returns. */
  readonly onEnd: (result: SendResult) => void;
}

/** Makes a Response out of bytes that somebody else may reuse as soon as they are released. */
export interface Sender {
  /** Bodies up to this many bytes leave as one private copy, if the source can copy them. */
  readonly copyLimitBytes: number;
  send(source: ByteSource, options: SendOptions): Response;
}

/** What a server needs. */
export interface ServeOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Several servers, of several threads, on one port. */
  readonly reusePort: boolean;
  /**
   * A connection on which nothing moves for this long is closed: 0 (never) to 255. Bun looks every 4 s; Deno only where
   * it waits for the client to send.
   */
  readonly idleTimeoutSeconds: number;
  /** Requests that are told of if their path is not what was sent; default: none. */
  readonly exactPaths?: ExactPaths;
  readonly fetch: (request: Request, context: RequestContext) => Response | Promise<Response>;
  /** How many of the requests in hand have a response without an end of its own; default: none. */
  readonly endlessRequests?: () => number;
  /** How long their readers have to take the end when a server that stops waits for nothing else. Default 1000. */
  readonly endlessPatienceMs?: number;
  /** Told of failures that no response can report any more, such as a body that broke off. */
  readonly onError: (error: unknown) => void;
}

/** A listening server. */
export interface Server {
  readonly address: { readonly host: string; readonly port: number };
  /**
   * Takes no new connections, lets running requests finish, closes the rest: in the end also endless ones whose readers
   * do not read. Requests that still run after `patienceMs` (default: for ever) are broken off; resolves with how many
   * those were.
   */
  stop(options?: { readonly patienceMs?: number }): Promise<number>;
}

/** Limits of a sender. */
export interface SenderOptions {
  /** As in ServeOptions. */
  readonly idleTimeoutSeconds: number;
  /**
   * Deno: most bytes of objects pinned by unfinished responses at a time; beyond, bodies are copied chunk by chunk
   * (default 256 MiB).
   */
  readonly pinnedLimitBytes?: number;
}

/** What differs between the runtimes. */
export interface Runtime {
  readonly name: "bun" | "deno";
  readonly version: string;
  /** Whether a thread that is told to end does so although it is busy. */
  readonly stopsThreads: boolean;
  serve(options: ServeOptions): Server;
  createSender(options: SenderOptions): Sender;
  /**
   * Told of a chunk of a request's body that nobody will look at again, and how much of the body has come, so that
   * chunks do not pile up as garbage.
   */
  readonly discard: (chunk: Uint8Array, bodyBytes: number) => void;
}

/** The default of ServeOptions.endlessPatienceMs. */
export const ENDLESS_PATIENCE_MS = 1000;
