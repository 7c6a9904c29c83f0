import { chunkStream } from "./chunk_stream.ts";
import { Copies } from "./copies.ts";
import { Hold } from "./hold.ts";
import { smallBody } from "./small_body.ts";
import type { ByteSource, Sender, SendOptions } from "./types.ts";

/**
 * Sends private copies only, so the source is released with the last chunk whatever the runtime does: for tests, for
 * edge isolates, and for Deno when slow readers pin too much. A reader that asks for nothing for `idleTimeoutSeconds`
 * (0: for ever) loses the rest.
 */
export class CopyingSender implements Sender {
  readonly copyLimitBytes: number;
  readonly #idleTimeoutMs: number;
  readonly #free: (copy: Uint8Array) => void;

  /** `free` gives the memory of a copy back that was handed over; by default, garbage collection does. */
  constructor(
    options: {
      readonly copyLimitBytes: number;
      readonly idleTimeoutSeconds: number;
      readonly free?: (copy: Uint8Array) => void;
    },
  ) {
    this.#free = options.free ?? (() => {});
    this.copyLimitBytes = options.copyLimitBytes;
    this.#idleTimeoutMs = options.idleTimeoutSeconds * 1000;
  }

  send(source: ByteSource, options: SendOptions): Response {
    return smallBody(source, options, this.copyLimitBytes) ?? this.#stream(source, options);
  }

  #stream(source: ByteSource, options: SendOptions): Response {
    const hold = new Hold(source, options);
    const copies = new Copies(this.#free);
    const idleTimeoutMs = this.#idleTimeoutMs;
    let idle: ReturnType<typeof setTimeout> | undefined;
    const stream = chunkStream(source, options, {
      hold,
      prepare(chunk) {
        clearTimeout(idle);
        return copies.of(chunk);
      },
      waiting() {
        if (idleTimeoutMs === 0) return;
        idle = setTimeout(() => stream.fail(new Error("send body: the reader stalled")), idleTimeoutMs);
      },
      ended(outcome) {
        clearTimeout(idle);
        hold.settle(outcome);
      },
    });
    const headers = { ...options.headers, "content-length": String(options.end - options.start) };
    return new Response(stream.body, { status: options.status, headers });
  }
}
