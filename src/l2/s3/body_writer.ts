import { crc32 } from "node:zlib";
import { causeText } from "../../core/errors.ts";
import { InFlight } from "../calls.ts";
import type { Bucket, Condition, Upload, UploadedPart } from "./bucket.ts";
import { S3Failure } from "./client.ts";
import { bodyBytes, FRAME_BYTES, frameSeed } from "./layout.ts";
import { FIELDS } from "./objects.ts";

/** Bytes of a part, unless the object would then have more than MOST_PARTS. Larger bodies are sent in parts. */
export const PART_BYTES: number = 8 * 1024 * 1024;
const MOST_PARTS = 9000;
/** Maximum bytes of the fields with metadata; S3 takes 2 KB, counted with their names. */
const FIELD_BYTES = 1900;
/** Maximum number of parts in flight for one store. */
const IN_FLIGHT = 2;

/** The object's bytes that were written, without the record. */
export interface WrittenBytes {
  readonly sizeBytes: number;
  readonly crc: number;
}

/** Options of a BodyWriter. */
export interface BodyWriterOptions {
  readonly bucket: Bucket;
  readonly name: string;
  readonly generation: string;
  /** The object's fields, without its record. */
  readonly fields: Readonly<Record<string, string>>;
  /** The object's size, if it is known. */
  readonly sizeBytes: number | undefined;
  /** Called before an upload in parts is begun. */
  readonly onUpload: () => void;
  /** Limits the parts in flight for the whole tier. */
  readonly slots: Slots;
}

/**
 * Sends a body as it comes, with bounded memory. A body that fits into one part is sent in one request, at the commit;
 * a larger one in parts, which are invisible until the commit.
 */
export class BodyWriter {
  readonly #options: BodyWriterOptions;
  readonly #partBytes: number;
  readonly #inFlight = new InFlight(IN_FLIGHT);
  readonly #parts: (UploadedPart | undefined)[] = [];
  #upload: Upload | undefined;
  #part: Buffer<ArrayBuffer>;
  #filled = 0;
  #frame = { index: 0, bytes: 0, crc: 0 };
  #sizeBytes = 0;
  #crc = 0;
  #bodyBytes = 0;
  #record: string | undefined;
  #isCommitted = false;

  constructor(options: BodyWriterOptions) {
    this.#options = options;
    const { sizeBytes = 0, generation } = options;
    this.#partBytes = Math.max(PART_BYTES, Math.ceil(bodyBytes(sizeBytes) / MOST_PARTS));
    this.#part = room(Math.min(this.#partBytes, bodyBytes(options.sizeBytes ?? FRAME_BYTES / 16)));
    this.#frame.crc = frameSeed(generation, 0);
  }

  /** Bytes of the body that was sealed. */
  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  /** Writes all chunks of a source. Throws what the source throws, and what the requests throw. */
  async write(source: AsyncIterable<Uint8Array>): Promise<WrittenBytes> {
    await this.#append(Buffer.from(this.#options.generation, "base64url"));
    for await (const chunk of source) {
      for (let at = 0; at < chunk.length;) {
        if (this.#frame.bytes === FRAME_BYTES) await this.#endFrame();
        if (this.#filled === this.#partBytes) await this.#send();
        at += this.#take(chunk.subarray(at, at + FRAME_BYTES - this.#frame.bytes));
      }
    }
    await this.#endFrame();
    return { sizeBytes: this.#sizeBytes, crc: this.#crc };
  }

  /** Ends the body with the record of metadata; resolves once all of it but one request has arrived. */
  async seal(record: Buffer): Promise<void> {
    const text = record.toString("base64url");
    const { fields } = this.#options;
    const used = Object.entries(fields).reduce((sum, [name, value]) => sum + name.length + value.length, 0);
    if (this.#upload === undefined && used + FIELDS.record.length + text.length <= FIELD_BYTES) {
      this.#record = text;
      return;
    }
    const length = Buffer.alloc(4);
    length.writeUInt32LE(record.length);
    await this.#append(Buffer.concat([record, length]));
    if (this.#upload === undefined) return;
    await this.#send();
    await this.#inFlight.done();
  }

  /** Makes the object visible; false if the condition does not hold, "gone" if the parts are not there any more. */
  async commit(condition: Condition): Promise<boolean | "gone"> {
    const { bucket, name, fields } = this.#options;
    const outcome = this.#upload === undefined
      ? await bucket.put(name, {
        body: this.#part.subarray(0, this.#filled),
        headers: { ...fields, ...(this.#record === undefined ? {} : { [FIELDS.record]: this.#record }) },
        condition,
      })
      : await bucket.complete(this.#upload, { parts: this.#parts.filter((part) => part !== undefined), condition });
    this.#isCommitted ||= outcome === true;
    return outcome;
  }

  /** Removes the parts of an upload that was not committed; returns the reason if they stay. */
  async abandon(): Promise<string | undefined> {
    if (this.#upload === undefined || this.#isCommitted) return undefined;
    await this.#inFlight.settled();
    return await this.#options.bucket.abort(this.#upload).then(() => undefined, causeText);
  }

  /** Copies the start of a chunk, as much as fits into the part, and returns the number of bytes. */
  #take(chunk: Uint8Array): number {
    const bytes = this.#copy(chunk);
    // Computed over the copy, because the source's memory may be shared.
    this.#crc = crc32(bytes, this.#crc);
    this.#frame.crc = crc32(bytes, this.#frame.crc);
    this.#frame.bytes += bytes.length;
    this.#sizeBytes += bytes.length;
    return bytes.length;
  }

  async #endFrame(): Promise<void> {
    const crc = Buffer.alloc(4);
    crc.writeUInt32LE(this.#frame.crc);
    await this.#append(crc);
    const index = this.#frame.index + 1;
    this.#frame = { index, bytes: 0, crc: frameSeed(this.#options.generation, index) };
  }

  async #append(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      if (this.#filled === this.#partBytes) await this.#send();
      at += this.#copy(bytes.subarray(at)).length;
    }
  }

  #copy(bytes: Uint8Array): Buffer {
    const length = Math.min(bytes.length, this.#partBytes - this.#filled);
    const needed = this.#filled + length;
    if (needed > this.#part.length) {
      const larger = room(Math.min(this.#partBytes, Math.max(needed, 4 * this.#part.length)));
      larger.set(this.#part.subarray(0, this.#filled));
      this.#part = larger;
    }
    this.#part.set(bytes.subarray(0, length), this.#filled);
    this.#bodyBytes += length;
    this.#filled = needed;
    return this.#part.subarray(needed - length, needed);
  }

  /** Sends the current part, once fewer than IN_FLIGHT are in flight. */
  async #send(): Promise<void> {
    const { bucket, name, fields, slots, onUpload } = this.#options;
    if (this.#upload === undefined) {
      onUpload();
      this.#upload = await bucket.begin(name, fields);
    }
    await this.#inFlight.room();
    const upload = this.#upload;
    const body = this.#part.subarray(0, this.#filled);
    const number = this.#parts.push(undefined);
    if (number > 10_000) throw new S3Failure("upload part: an object of unknown size has more than 10000 parts");
    this.#part = room(this.#partBytes);
    this.#filled = 0;
    const sending = slots.run(() => bucket.putPart(upload, number, body));
    this.#inFlight.start(sending.then((part) => void (this.#parts[number - 1] = part)));
  }
}

function room(bytes: number): Buffer<ArrayBuffer> {
  return Buffer.from(new ArrayBuffer(bytes));
}

/** Milliseconds after which an unfinished upload counts as dead, and between two searches for dead ones. */
const DEAD_MS = 24 * 3_600_000;

/** Removes the parts of uploads that died with their server. */
export class DeadUploads {
  readonly #bucket: Bucket;
  readonly #prefix: string;
  readonly #nowMs: () => number;
  #searchedMs = -Infinity;

  /** `nowMs` gives wall time. */
  constructor(bucket: Bucket, { prefix, nowMs }: { readonly prefix: string; readonly nowMs: () => number }) {
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.#nowMs = nowMs;
  }

  /** Searches for dead uploads if that is due. Never throws, because the next search repeats the work. */
  async remove(): Promise<void> {
    const nowMs = this.#nowMs();
    if (nowMs - this.#searchedMs < DEAD_MS) return;
    this.#searchedMs = nowMs;
    try {
      const uploads = await this.#bucket.uploads(`${this.#prefix}/`);
      for (const upload of uploads) {
        if (nowMs - upload.begunMs > DEAD_MS) await this.#bucket.abort(upload);
      }
    } catch {
      // A store that does not list uploads has its own rules for them.
    }
  }
}

/** Limits the number of concurrent tasks. Waiting tasks start in the order in which they came. */
export class Slots {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(count: number) {
    this.#free = count;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }

  /** Runs a task for each member; the results are in the order of the members. */
  async map<T, R>(members: readonly T[], work: (member: T) => Promise<R>): Promise<readonly R[]> {
    return await Promise.all(members.map((member) => this.run(() => work(member))));
  }
}
