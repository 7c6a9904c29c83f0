import type { Hold } from "./hold.ts";
import type { ByteSource, SendOptions } from "./types.ts";

/** What happens around the chunks of a stream. */
export interface ChunkHooks<Chunk extends Uint8Array> {
  readonly hold: Hold;
  /** Makes what is enqueued out of a source's chunk. */
  readonly prepare: (chunk: Uint8Array) => Chunk;
  /** A chunk was enqueued and more will follow. */
  readonly waiting?: () => void;
  /** The stream was closed, failed or cancelled. */
  readonly ended?: (outcome: "complete" | "aborted") => void;
}

/** A body and the way to break it off from outside. */
export interface ChunkStream<Chunk extends Uint8Array> {
  readonly body: ReadableStream<Chunk>;
  fail(error: Error): void;
}

/**
 * A default stream of a source's chunks, one for each pull. It closes with the last byte, not with the pull after it: a
 * server that has sent Content-Length bytes need not pull again.
 */
export function chunkStream<Chunk extends Uint8Array>(
  source: ByteSource,
  options: SendOptions,
  { hold, prepare, waiting, ended }: ChunkHooks<Chunk>,
): ChunkStream<Chunk> {
  const chunks = source.chunks(options.start, options.end);
  const stop = () => {
    ended?.("aborted");
    void chunks.return();
  };
  let fail = (_error: Error) => {};
  const body = new ReadableStream<Chunk>({
    start(controller) {
      fail = (error) => {
        controller.error(error);
        stop();
      };
    },
    async pull(controller) {
      try {
        let next = await chunks.next();
        if (!next.done) {
          controller.enqueue(prepare(next.value));
          hold.sent(next.value.byteLength);
          if (!hold.complete) return waiting?.();
          next = await chunks.next();
        }
        hold.assertComplete();
        controller.close();
        ended?.("complete");
      } catch (error) {
        ended?.("aborted");
        throw error;
      }
    },
    cancel: stop,
  }, { highWaterMark: 0 });
  return { body, fail };
}
