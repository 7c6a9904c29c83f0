import { randomBytes } from "node:crypto";
import { VitrineError } from "../../core/errors.ts";
import { type DecodedMeta, decodeMeta } from "../meta_record.ts";
import type { BodyPart, Bucket } from "./bucket.ts";
import { S3Failure } from "./client.ts";
import { FRAME_BYTES, frameOffset, GENERATION_BYTES, joinFrames, type NameSpace } from "./layout.ts";
import type { ObjectKey } from "../../core/object.ts";

/** Fields of an object in the bucket: its generation, its record unless that is in the body, its key if hashed. */
export const FIELDS = {
  generation: "x-amz-meta-vitrine-generation",
  record: "x-amz-meta-vitrine-record",
  key: "x-amz-meta-vitrine-key",
} as const;

/** Maximum bytes of a record and its length at the end of a body. */
const TAIL_BYTES = 12 * 1024;
/** Number of times that an object may be replaced between two requests for it. */
const ATTEMPTS = 4;

/** An object in the bucket, without its bytes. */
export interface Head {
  readonly etag: string;
  /** Random; every store has its own. */
  readonly generation: string;
  readonly bodyBytes: number;
  /** "foreign": no Vitrine has stored it. */
  readonly decoded: DecodedMeta | "foreign";
}

/** A head and the frames that were asked for with it, as far as the object has them. */
export interface HeadAndFrames {
  readonly head: Head;
  /** Bytes of the body from `offset` on. */
  readonly frames: { readonly bytes: Buffer; readonly offset: number };
}

/** Makes a generation. */
export function newGeneration(): string {
  return randomBytes(GENERATION_BYTES).toString("base64url");
}

/** The field with the key of an object, if its name does not contain the key. */
export function keyField(names: NameSpace, { tenant, key }: ObjectKey): Readonly<Record<string, string>> {
  const isHashed = names.isHashed(names.nameOf({ tenant, key }));
  return isHashed ? { [FIELDS.key]: Buffer.from(`${tenant}\0${key}`).toString("base64url") } : {};
}

/** Reads objects from the bucket. */
export class Objects {
  readonly #bucket: Bucket;
  readonly #names: NameSpace;

  constructor(bucket: Bucket, names: NameSpace) {
    this.#bucket = bucket;
    this.#names = names;
  }

  /** Returns an object's head; undefined if there is none. */
  async head(key: ObjectKey): Promise<Head | undefined> {
    return (await this.#read(this.#names.nameOf(key), `0-${GENERATION_BYTES - 1}`))?.head;
  }

  /** Returns an object's head and its frames from `first` to before `end`. */
  async headAndFrames(
    key: ObjectKey,
    { first, end }: { readonly first: number; readonly end: number },
  ): Promise<HeadAndFrames | undefined> {
    const offset = first === 0 ? 0 : frameOffset(first);
    const name = this.#names.nameOf(key);
    const found = await this.#read(name, `${offset}-${frameOffset(end) - 1}`, offset);
    return found && { head: found.head, frames: { bytes: found.bytes, offset } };
  }

  /** Returns frames of an object that was found before. Throws S3Failure if it was replaced or deleted. */
  async frames(
    key: ObjectKey,
    { etag, first, end }: { readonly etag: string; readonly first: number; readonly end: number },
  ): Promise<HeadAndFrames["frames"]> {
    const offset = frameOffset(first);
    const range = `${offset}-${frameOffset(end) - 1}`;
    const part = await this.#bucket.get(this.#names.nameOf(key), { range, etag });
    if (part === undefined || part === "changed") {
      throw new S3Failure("get object: it was replaced or deleted while it was read");
    }
    return { offset, bytes: part === "outside" ? Buffer.alloc(0) : part.bytes };
  }

  /** Returns the key and the head of a listed object; undefined if it is gone. */
  async identify(name: string): Promise<{ readonly key: ObjectKey; readonly head: Head } | undefined> {
    const found = await this.#read(name, `0-${GENERATION_BYTES - 1}`);
    const parsed = this.#names.parse(name);
    if (found === undefined || parsed === undefined) return undefined;
    if (parsed !== "hashed") return { key: parsed, head: found.head };
    const text = Buffer.from(found.fields.get(FIELDS.key) ?? "", "base64url").toString("utf8");
    const end = text.indexOf("\0");
    const key = { tenant: text.slice(0, end), key: text.slice(end + 1) };
    return end >= 0 && this.#names.nameOf(key) === name ? { key, head: found.head } : undefined;
  }

  async #read(
    name: string,
    range: string,
    offset = 0,
  ): Promise<{ readonly head: Head; readonly bytes: Buffer; readonly fields: Headers } | undefined> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const part = await this.#bucket.get(name, { range });
      if (part === undefined || part === "changed") return undefined;
      if (part === "outside") {
        const found = await this.#read(name, `0-${GENERATION_BYTES - 1}`);
        return found && { ...found, bytes: Buffer.alloc(0) };
      }
      const decoded = await this.#decode(name, part, offset);
      if (decoded === "changed") continue;
      const { etag, headers: fields, totalBytes, bytes } = part;
      const generation = fields.get(FIELDS.generation) ?? "";
      return { head: { etag, generation, bodyBytes: totalBytes, decoded }, bytes, fields };
    }
    throw new S3Failure("get object: it is being replaced all the time");
  }

  async #decode(name: string, part: BodyPart, offset: number): Promise<Head["decoded"] | "changed"> {
    const generation = part.headers.get(FIELDS.generation);
    if (generation === null) return "foreign";
    const isRight = offset > 0 || part.bytes.subarray(0, GENERATION_BYTES).toString("base64url") === generation;
    if (!isRight) return "damaged";
    const record = part.headers.get(FIELDS.record);
    if (record !== null) return decodeMeta(Buffer.from(record, "base64url"));
    const tail = await this.#bucket.get(name, { range: `-${TAIL_BYTES}`, etag: part.etag });
    if (tail === undefined || tail === "changed") return "changed";
    if (tail === "outside") return "damaged";
    const end = tail.bytes.length - 4;
    const length = end < 0 ? Infinity : tail.bytes.readUInt32LE(end);
    return length > end ? "damaged" : decodeMeta(tail.bytes.subarray(end - length, end));
  }
}

/** Number of frames that one request asks for, and number of requests that run ahead of the reader. */
export const WINDOW = 4;
const AHEAD = 3;

/** A read of an object's bytes. */
export interface FramesRead {
  readonly key: ObjectKey;
  readonly etag: string;
  readonly generation: string;
  readonly sizeBytes: number;
  /** The range of bytes, which is not empty unless the object is. */
  readonly start: number;
  readonly end: number;
  /** The frames of the first window. */
  readonly frames: HeadAndFrames["frames"];
  readonly isClosed: () => boolean;
  /** Called when a frame is damaged. */
  readonly onBroken: () => Promise<void>;
}

/**
 * Opens the bytes of an object and verifies their first window; undefined if it is damaged. Further windows are fetched
 * at the same time, a little ahead of the reader, and each is verified before it is returned, as one chunk.
 */
export async function readFrames(
  objects: Objects,
  read: FramesRead,
): Promise<AsyncIterable<Uint8Array> | undefined> {
  const first = Math.floor(read.start / FRAME_BYTES);
  const opened = open(read, read.frames, first);
  if (opened !== undefined) return rest(objects, read, { first, opened });
  await read.onBroken();
  return undefined;
}

async function* rest(
  objects: Objects,
  read: FramesRead,
  { first, opened }: { readonly first: number; readonly opened: Buffer },
): AsyncGenerator<Uint8Array, void, void> {
  const windows: Promise<HeadAndFrames["frames"]>[] = [];
  let asked = first + WINDOW;
  for (let index = first, now = opened;; index += WINDOW) {
    if (read.isClosed()) throw new VitrineError("tier_failed", "load object: the tier is closed");
    while (asked < frameEnd(read) && windows.length < AHEAD) {
      const range = { etag: read.etag, first: asked, end: Math.min(frameEnd(read), asked + WINDOW) };
      const asking = objects.frames(read.key, range);
      // May never be awaited if the reader stops early.
      asking.catch(() => {});
      windows.push(asking);
      asked += WINDOW;
    }
    const from = index * FRAME_BYTES;
    const part = now.subarray(Math.max(0, read.start - from), read.end - from);
    // Not as a Buffer: the slice of one is no copy.
    if (part.length > 0) yield new Uint8Array(part.buffer, part.byteOffset, part.length);
    const window = await windows.shift()?.catch((cause: unknown) => {
      throw new VitrineError("tier_failed", "load object: its bytes could not be fetched", { cause });
    });
    if (window === undefined) return;
    const next = open(read, window, index + WINDOW);
    if (next === undefined) {
      await read.onBroken();
      throw new VitrineError("tier_failed", `load object: a frame from ${index + WINDOW} on is damaged`);
    }
    now = next;
  }
}

/** The frame after the last one that is read. */
function frameEnd({ end }: FramesRead): number {
  return Math.max(1, Math.ceil(end / FRAME_BYTES));
}

function open(read: FramesRead, { bytes, offset }: HeadAndFrames["frames"], first: number): Buffer | undefined {
  const { generation, sizeBytes } = read;
  return joinFrames(bytes, { offset, first, end: Math.min(frameEnd(read), first + WINDOW), generation, sizeBytes });
}
