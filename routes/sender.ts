import type { ObjectRead } from "../src/storage/storage.ts";

/** What a runtime knows of a request beside the Request: handed through to its sender unread. */
export interface RequestContext {
  readonly completed?: Promise<void>;
  /** Set if the URL's path is another than was sent. */
  readonly isResolved?: true;
  /**
   * Told before (true) and after (false) the rest of the request's body is waited for; undefined where the runtime sees
   * to its clients itself.
   */
  readonly waitsForBody?: (waits: boolean) => void;
  /** The address of the other end of the request's connection; "" if it is gone. */
  readonly addressOf?: (request: Request) => string;
}

/**
 * Makes a Response of an object's bytes and releases it when the runtime reads them no more; src/runtime has one for
 * each runtime.
 */
export interface Sender {
  /** Bodies above this many bytes are streamed (on Bun without a Content-Length). */
  readonly copyLimitBytes: number;
  send(read: Pick<ObjectRead, "copy" | "chunks" | "release">, options: {
    readonly start: number;
    /** Exclusive. */
    readonly end: number;
    readonly pinnedBytes: number;
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly context: RequestContext;
    readonly onEnd: (result: { readonly outcome: "complete" | "aborted"; readonly bytesSent: number }) => void;
  }): Response;
}
