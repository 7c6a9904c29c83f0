import { crc32 } from "node:zlib";
import { VitrineError } from "../../core/errors.ts";
import type { ObjectMeta } from "../../core/object.ts";
import { encodeTail } from "../../core/tier_protocol.ts";
import type { StoreSource } from "../adapter.ts";
import { assertAnnounced } from "../calls.ts";
import type { Patience } from "./central.ts";

/** Objects in memory up to this size are sent as one piece, larger ones as they come. */
const WHOLE_BYTES = 1024 * 1024;

/** A body for an object, and its metadata once the body has been taken. */
export interface PutBody {
  readonly body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Throws if the body has not been taken. */
  meta(): ObjectMeta;
  /** The failure that broke the body off. */
  failure(): { readonly error: unknown } | undefined;
}

/** Options of putBody. */
export interface PutBodyOptions {
  /** Called right before the source is asked whether the object is still wanted. */
  readonly onCommit: () => void;
  /** The patience with the server, once the request has begun. */
  readonly patience: () => Patience | undefined;
}

/** Makes the body of a PUT: the object's bytes, then its metadata. Throws what the source throws. */
export async function putBody(source: StoreSource, options: PutBodyOptions): Promise<PutBody> {
  let meta: ObjectMeta | undefined;
  let failure: { readonly error: unknown } | undefined;
  async function* noted(): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    try {
      yield* parts();
    } catch (error) {
      failure = { error };
      throw error;
    }
  }
  async function* parts(): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    let [sizeBytes, crc] = [0, 0];
    for await (const chunk of source.chunks) {
      // The memory may be used again as soon as the next chunk is asked for, and the runtime may still read it.
      const copy = new Uint8Array(chunk);
      crc = crc32(copy, crc);
      sizeBytes += copy.length;
      yield copy;
    }
    const known = source.meta();
    assertAnnounced({ sizeBytes, crc }, known);
    const tail = encodeTail({ meta: known, precondition: source.precondition?.() });
    if (source.whenWanted !== undefined) await source.whenWanted();
    options.onCommit();
    source.assertWanted?.();
    meta = known;
    yield tail;
  }
  const body = (source.atHand?.sizeBytes ?? Infinity) > WHOLE_BYTES
    ? streamOf(noted(), options)
    : await collect(parts());
  return {
    body,
    failure: () => failure,
    meta() {
      if (meta === undefined) throw new VitrineError("tier_failed", "store object: the server answered too early");
      return meta;
    },
  };
}

function streamOf(
  parts: AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>,
  { patience }: PutBodyOptions,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      patience()?.rest();
      const next = await parts.next();
      patience()?.wait();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await parts.return();
    },
  }, { highWaterMark: 0 });
}

async function collect(parts: AsyncIterable<Uint8Array<ArrayBuffer>>): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  for await (const part of parts) chunks.push(part);
  return new Uint8Array(Buffer.concat(chunks));
}
