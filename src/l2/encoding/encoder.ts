import { crc32 } from "node:zlib";
import type { ObjectKey, ObjectMeta } from "../../core/object.ts";
import type { StoreSource } from "../adapter.ts";
import { assertAnnounced } from "../calls.ts";
import type { KeyRing } from "./cipher.ts";
import { encodeFrame, encodeTable, ENCRYPTED_FRAME_BYTES, FRAME_BYTES, frameCount } from "./frames.ts";
import { describe, type EncodedBytes } from "./stored_form.ts";

/** The encoding of objects that are stored. */
export interface Encoding {
  readonly compresses: boolean;
  /** Objects are encrypted if there are keys. */
  readonly keys?: KeyRing | undefined;
}

/** Encodes one object on its way into a tier, a frame at a time. An object that gains nothing stays as it is. */
export class Encoder {
  readonly #key: ObjectKey;
  readonly #source: StoreSource;
  readonly #encoding: Encoding;
  #result: { readonly meta: ObjectMeta; readonly stored: ObjectMeta } | undefined;

  constructor(key: ObjectKey, source: StoreSource, encoding: Encoding) {
    this.#key = key;
    this.#source = source;
    this.#encoding = encoding;
  }

  /** Returns the encoded object, which can be read once. */
  encode(): StoreSource {
    const { durable } = this.#source;
    const sizeBytes = this.#sizeBytes();
    return {
      chunks: this.#encode(),
      ...(sizeBytes === undefined ? {} : { sizeBytes }),
      ...(durable === undefined ? {} : { durable }),
      meta: () => this.#done.stored,
      assertWanted: () => this.#source.assertWanted?.(),
    };
  }

  /** The metadata that the source gave after its last chunk. */
  get meta(): ObjectMeta {
    return this.#done.meta;
  }

  get #done() {
    if (this.#result === undefined) throw new Error("encode object: its chunks have not been read");
    return this.#result;
  }

  /** The encoded size, if it is known before. */
  #sizeBytes(): number | undefined {
    const { sizeBytes } = this.#source;
    if (sizeBytes === undefined || this.#encoding.compresses) return undefined;
    return sizeBytes + frameCount({ sizeBytes }) * ENCRYPTED_FRAME_BYTES;
  }

  async *#encode(): AsyncGenerator<Uint8Array, void, void> {
    const encryption = await this.#newCipher();
    const options = { compresses: this.#encoding.compresses, cipher: encryption?.cipher };
    const [plain, encoded] = [new Sum(), new Sum()];
    const lengths: number[] = [];
    let hasTable = false;
    let isAsItIs = encryption === undefined;
    for await (const { bytes, isOnly } of framesOf(this.#source.chunks)) {
      plain.add(bytes);
      const { head, payload, isCompressed } = await encodeFrame(lengths.length, bytes, options);
      lengths.push(payload.length);
      hasTable ||= isCompressed && !isOnly;
      isAsItIs &&= isOnly && !isCompressed;
      for (const part of isAsItIs ? [payload] : [head, payload]) {
        encoded.add(part);
        yield part;
      }
    }
    if (hasTable) {
      const table = encodeTable(lengths);
      encoded.add(table);
      yield table;
    }
    const meta = this.#source.meta();
    assertAnnounced({ sizeBytes: plain.bytes.sizeBytes, crc: plain.bytes.crc32 }, meta);
    const stored = isAsItIs ? meta : await describe({ meta, hasTable }, { ...encoded.bytes, encryption });
    this.#result = { meta, stored };
  }

  async #newCipher(): Promise<EncodedBytes["encryption"]> {
    const { keys } = this.#encoding;
    if (keys === undefined) return undefined;
    const name = keys.newName();
    return { name, cipher: await keys.cipher(this.#key, name) };
  }
}

/** Size and checksum of bytes that come one after the other. */
class Sum {
  #sizeBytes = 0;
  #crc32 = 0;

  get bytes(): Pick<ObjectMeta, "sizeBytes" | "crc32"> {
    return { sizeBytes: this.#sizeBytes, crc32: this.#crc32 };
  }

  add(bytes: Uint8Array): void {
    this.#sizeBytes += bytes.length;
    this.#crc32 = crc32(bytes, this.#crc32);
  }
}

/** Cuts an object into frames, each in the same memory as the one before. */
async function* framesOf(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<{ readonly bytes: Uint8Array<ArrayBuffer>; readonly isOnly: boolean }, void, void> {
  let frame = new Uint8Array(0);
  let filled = 0;
  let isFirst = true;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      if (filled === FRAME_BYTES) {
        yield { bytes: frame, isOnly: false };
        isFirst = false;
        filled = 0;
      }
      const part = chunk.subarray(at, at + FRAME_BYTES - filled);
      frame = withRoom(frame, filled, filled + part.length);
      frame.set(part, filled);
      filled += part.length;
      at += part.length;
    }
  }
  if (filled > 0) yield { bytes: frame.subarray(0, filled), isOnly: isFirst };
}

/** Returns memory for at least this many bytes, of which `filled` are there already. */
function withRoom(frame: Uint8Array<ArrayBuffer>, filled: number, bytes: number): Uint8Array<ArrayBuffer> {
  if (bytes <= frame.length) return frame;
  const larger = new Uint8Array(Math.min(FRAME_BYTES, Math.max(bytes, 2 * frame.length)));
  larger.set(frame.subarray(0, filled));
  return larger;
}
