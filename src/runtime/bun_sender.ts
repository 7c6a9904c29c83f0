import type { ByteSource, CopyOptions, Runtime, Sender, SenderOptions, SendOptions } from "./runtime.ts";
import { copiedBody, copyOf, KeptResponses, smallBody, SourceGuard } from "./sender.ts";

interface DirectController {
  /** From now on nothing is sent before this many bytes are written. */
  start(options: { readonly highWaterMark: number }): void;
  /** Copies the chunk. Under backpressure returns a promise, which also resolves when the client is gone. */
  write(chunk: Uint8Array): number | Promise<number>;
  /** The bytes sent since the last write; 0 if the client was gone before it had all of them. */
  end(): number | Promise<number>;
}
declare const ReadableStream: new (source: {
  readonly type: "direct";
  pull(controller: DirectController): Promise<void>;
  cancel(): void;
}) => ReadableStream<Uint8Array<ArrayBuffer>>;

/** Up to this size a copy by the source is faster than a stream, as measured (docs/RUNTIMES.md). */
const COPY_LIMIT_BYTES = 64 * 1024;
/** Size of a write to a stream in bytes: small, because Bun keeps what a stalled reader has not taken of it. */
const WRITE_BYTES = 256 * 1024;
const DEFAULT_SIZED_BODY_BYTES = 32 * 1024 * 1024;

/** One body on its way out. */
interface Delivery {
  readonly controller: DirectController;
  readonly guard: SourceGuard;
  readonly isGone: () => boolean;
}

/**
 * Bun sends Content-Length only with a body that it has as a whole (oven-sh/bun#10507). So bodies are copied to Bun's
 * memory as a whole while the copies that wait to be sent stay below a limit; the others are streamed in chunks.
 */
export class BunSender implements Sender {
  readonly copyLimitBytes = COPY_LIMIT_BYTES;
  readonly #limitBytes: number;
  readonly #watch: SenderOptions["transferWatch"];
  readonly #discard: Runtime["discard"];
  readonly #kept = new KeptResponses();
  #waitingBytes = 0;

  /** `discard` frees copies of private chunks. */
  constructor(
    { sizedBodyBytes = DEFAULT_SIZED_BODY_BYTES, transferWatch }: SenderOptions,
    discard: Runtime["discard"],
  ) {
    this.#limitBytes = sizedBodyBytes;
    this.#watch = transferWatch;
    this.#discard = discard;
  }

  copy(extents: readonly Uint8Array[], options: CopyOptions): Response {
    return this.#kept.of(options, () => copied(extents, options));
  }

  send(source: ByteSource, options: SendOptions): Response {
    const small = smallBody(source, options, COPY_LIMIT_BYTES);
    if (small !== undefined) return small;
    const sizeBytes = options.end - options.start;
    if (this.#waitingBytes + sizeBytes > this.#limitBytes) {
      return directResponse(source, options, { watch: this.#watch, deliver: stream });
    }
    this.#waitingBytes += sizeBytes;
    const onEnd: SendOptions["onEnd"] = (result) => {
      this.#waitingBytes -= sizeBytes;
      options.onEnd(result);
    };
    const deliver = (delivery: Delivery) => this.#sendWhole(delivery, source, options);
    // Nothing can cut off a reader of a body that Bun has as a whole, so nothing watches one.
    return directResponse(source, { ...options, onEnd }, { watch: undefined, deliver });
  }

  /** Nothing is written before the last chunk has arrived, because Bun sends what was written while it waits. */
  async #sendWhole({ controller, guard, isGone }: Delivery, source: ByteSource, options: SendOptions): Promise<void> {
    const { start, end } = options;
    const chunks: Uint8Array[] = [];
    for await (const chunk of source.chunks(start, end)) {
      chunks.push(chunk.buffer instanceof SharedArrayBuffer ? chunk : copyOf(chunk));
      if (isGone()) return;
    }
    const sizeBytes = chunks.reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (sizeBytes !== end - start) throw new Error(`send body: ended after ${sizeBytes} bytes`);
    controller.start({ highWaterMark: sizeBytes + 1 });
    for (const chunk of chunks.splice(0)) {
      void controller.write(chunk);
      guard.sent(chunk.byteLength);
      if (!(chunk.buffer instanceof SharedArrayBuffer)) this.#discard(chunk, sizeBytes);
    }
    if (await controller.end() === sizeBytes) guard.settle("complete");
  }
}

/**
 * A body of shared memory, which Bun copies when the Response is made, natively: it need not be private
 * (test/runtime/sender.test.ts). The types allow only private memory.
 */
function asBody(view: Uint8Array): Uint8Array<ArrayBuffer> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
  return view as Uint8Array<ArrayBuffer>;
}

async function stream(
  { controller, guard, isGone }: Delivery,
  source: ByteSource,
  options: SendOptions,
): Promise<void> {
  for await (const chunk of source.chunks(options.start, options.end)) {
    for (let from = 0; from < chunk.byteLength; from += WRITE_BYTES) {
      const part = chunk.subarray(from, from + WRITE_BYTES);
      guard.waits();
      await unlessSlow(guard, controller.write(part));
      guard.taken(part.byteLength);
      if (isGone()) return;
      guard.sent(part.byteLength);
    }
  }
  guard.assertComplete();
  await controller.end();
  if (!isGone()) guard.settle("complete");
}

/** Waits for a write; rejects, which makes Bun reset the connection, if the client takes it too slowly. */
function unlessSlow(guard: SourceGuard, written: number | Promise<number>): number | Promise<number> {
  if (!(written instanceof Promise)) return written;
  return new Promise((resolve, reject) => {
    guard.onSlow(() => reject(new Error("send body: the reader is too slow")));
    written.then(resolve, reject);
  });
}

/** A response with a native copy of the bytes. Only a body in several pieces, or none, needs memory of its own. */
function copied(extents: readonly Uint8Array[], options: CopyOptions): Response {
  const [extent, ...more] = extents;
  const { start, end, status, headers } = options;
  if (extent === undefined || more.length > 0 || start === end) return copiedBody(extents, options);
  const isWhole = start === 0 && end === extent.length;
  return new Response(asBody(isWhole ? extent : extent.subarray(start, end)), { status, headers });
}

/** A Response with a direct stream, which copies in `write`: the source may be released after the last write. */
function directResponse(
  source: ByteSource,
  options: SendOptions,
  { watch, deliver }: {
    readonly watch: SenderOptions["transferWatch"];
    readonly deliver: (delivery: Delivery, source: ByteSource, options: SendOptions) => Promise<void>;
  },
): Response {
  const guard = new SourceGuard(source, options, watch);
  let isStarted = false;
  let isGone = false;
  const body = new ReadableStream({
    type: "direct",
    async pull(controller) {
      isStarted = true;
      try {
        await deliver({ controller, guard, isGone: () => isGone }, source, options);
      } finally {
        guard.settle("aborted");
      }
    },
    cancel() {
      isGone = true;
      if (!isStarted) guard.settle("aborted");
    },
  });
  return new Response(body, { status: options.status, headers: options.headers });
}
