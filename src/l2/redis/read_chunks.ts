import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import { CHUNK_BYTES } from "./keys.ts";
import type { Objects } from "./objects.ts";
import { openChunk } from "./record.ts";

/** Number of chunks that are fetched ahead. */
const AHEAD = 2;

/** Options of a read of a large object. */
export interface ChunkedRead {
  readonly key: ObjectKey;
  readonly generation: string;
  readonly meta: ObjectMeta;
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly isClosed: () => boolean;
  /** Called if a chunk is damaged ("corrupt"), or is gone although its object is there ("capacity"). */
  readonly onBroken: (reason: "corrupt" | "capacity") => Promise<void>;
}

/**
 * Opens the bytes of a large object and verifies their first chunk; undefined if it is damaged or gone. Chunks are
 * fetched a little ahead of the reader, and each is verified before it is returned.
 */
export async function readChunks(objects: Objects, read: ChunkedRead): Promise<AsyncIterable<Uint8Array> | undefined> {
  const first = Math.floor(read.start / CHUNK_BYTES);
  const chunk = read.start === read.end ? Buffer.alloc(0) : await fetchChunk(objects, read, first);
  return chunk && rest(objects, read, { first, chunk });
}

async function* rest(
  objects: Objects,
  read: ChunkedRead,
  { first, chunk }: { readonly first: number; readonly chunk: Buffer },
): AsyncGenerator<Uint8Array, void, void> {
  const last = Math.ceil(read.end / CHUNK_BYTES) - 1;
  const ahead: Promise<Buffer | undefined>[] = [];
  let asked = first;
  let now: Buffer | undefined = chunk;
  for (let index = first; index <= last; index += 1) {
    if (read.isClosed()) throw new VitrineError("tier_failed", "load object: the tier is closed");
    while (asked < Math.min(last, index + AHEAD)) {
      asked += 1;
      const asking = fetchChunk(objects, read, asked);
      // May never be awaited if the reader stops early.
      asking.catch(() => {});
      ahead.push(asking);
    }
    if (index > first) now = await ahead.shift();
    if (now === undefined) {
      throw new VitrineError("tier_failed", `load object: chunk ${index} is damaged or gone`);
    }
    const from = index * CHUNK_BYTES;
    const part = now.subarray(Math.max(0, read.start - from), Math.min(CHUNK_BYTES, read.end - from));
    if (part.length > 0) yield part;
  }
}

/** Returns the payload of one chunk; undefined if it is gone or damaged, after `onBroken`. */
async function fetchChunk(objects: Objects, read: ChunkedRead, index: number): Promise<Buffer | undefined> {
  const place = { generation: read.generation, index };
  const stored = await objects.getChunk(read.key, place);
  const payload = stored && openChunk(stored, place);
  const length = Math.min(CHUNK_BYTES, read.meta.sizeBytes - index * CHUNK_BYTES);
  if (payload?.length === length) return payload;
  await read.onBroken(stored === undefined ? "capacity" : "corrupt");
  return undefined;
}
