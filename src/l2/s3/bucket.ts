import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { VitrineError } from "../../core/errors.ts";
import {
  escapeXml,
  failureOf,
  type S3Client,
  S3Failure,
  type S3Reply,
  type S3Request,
  textOf,
  textsOf,
} from "./client.ts";
import type { Health } from "../health.ts";

/** The condition of a change: the object has this entity tag, or is absent. */
export type Condition = { readonly etag: string } | "absent";

/** A part of an object's body. */
export interface BodyPart {
  readonly etag: string;
  readonly headers: Headers;
  readonly bytes: Buffer<ArrayBuffer>;
  /** Size of the whole body. */
  readonly totalBytes: number;
}

/** An object in a listing. */
export interface ListedBody {
  readonly name: string;
  readonly etag: string;
  readonly bytes: number;
}

/** A multipart upload that was begun. */
export interface Upload {
  readonly name: string;
  readonly id: string;
}

/** A part that was uploaded. */
export interface UploadedPart {
  readonly etag: string;
  readonly checksum: string;
}

/** Codes and status of a store that has no room. */
const FULL: ReadonlySet<string> = new Set(["QuotaExceeded", "EntityTooLarge", "XMinioStorageFull", "StorageFull"]);
const FULL_STATUS = 507;

/** The requests that the tier needs. They throw S3Failure, or no_room if the store is full. */
export class Bucket {
  readonly #client: S3Client;
  readonly #health: Health;
  /** False once the store has refused a condition as not implemented. */
  #takesConditions = true;

  constructor(client: S3Client, health: Health) {
    this.#client = client;
    this.#health = health;
  }

  /** The reason why the bucket is unusable; undefined while it is usable. */
  get trouble(): string | undefined {
    return this.#health.trouble;
  }

  async close(): Promise<void> {
    await this.#health.close();
  }

  /**
   * Returns a range of a body, as the Range field gives it; undefined if there is no object, "outside" if it has no
   * such range, "changed" if it is not the one with this entity tag.
   */
  async get(
    name: string,
    { range, etag }: { readonly range: string; readonly etag?: string },
  ): Promise<BodyPart | "outside" | "changed" | undefined> {
    const headers = { range: `bytes=${range}`, ...(etag === undefined ? {} : { "if-match": etag }) };
    const reply = await this.#ask(
      "get object",
      { method: "GET", name, headers },
      ({ status, code }) => code === "NoSuchKey" || status === 412 || status === 416,
    );
    if (reply.code === "NoSuchKey") return undefined;
    if (reply.status === 412) return "changed";
    if (reply.status === 416) return "outside";
    const total = /\/(\d+)$/.exec(reply.headers.get("content-range") ?? "")?.[1];
    const { headers: fields, body: bytes } = reply;
    return { etag: fields.get("etag") ?? "", headers: fields, bytes, totalBytes: Number(total ?? bytes.length) };
  }

  /** Stores a body in one request; false if the condition does not hold. */
  async put(
    name: string,
    { body, headers, condition }: {
      readonly body: Uint8Array<ArrayBuffer>;
      readonly headers: Readonly<Record<string, string>>;
      readonly condition: Condition;
    },
  ): Promise<boolean> {
    const all = { ...CONTENT, ...headers, "x-amz-checksum-crc32": checksumOf(body) };
    return await this.#change("put object", { method: "PUT", name, headers: all, body }, condition) !== "refused";
  }

  /** Deletes the object with this entity tag; false if there is another one, or none. */
  async delete(name: string, etag: string): Promise<boolean> {
    return await this.#change("delete object", { method: "DELETE", name }, { etag }) !== "refused";
  }

  /** Deletes up to 1000 objects with their entity tags, and returns the names of those that it deleted. */
  async deleteMany(objects: readonly ListedBody[]): Promise<ReadonlySet<string>> {
    const members = objects.map(({ name, etag }) =>
      `<Object><Key>${escapeXml(name)}</Key>${this.#takesConditions ? `<ETag>${escapeXml(etag)}</ETag>` : ""}</Object>`
    );
    const body = new Uint8Array(Buffer.from(`<Delete>${members.join("")}</Delete>`));
    const headers = {
      "content-type": "application/xml",
      "content-md5": createHash("md5").update(body).digest("base64"),
    };
    const reply = await this.#ask(
      "delete objects",
      { method: "POST", query: { delete: "" }, headers, body },
      isRefused,
    );
    if (reply.status === 501 && this.#takesConditions) {
      this.#takesConditions = false;
      return await this.deleteMany(objects);
    }
    const xml = reply.body.toString("utf8");
    for (const error of textsOf(xml, "Error")) {
      const code = textOf(error, "Code");
      if (code === "PreconditionFailed" || code === "NoSuchKey") continue;
      throw new S3Failure(`delete objects: ${code}: ${textOf(error, "Message")}`, { code });
    }
    return new Set(textsOf(xml, "Deleted").map((deleted) => textOf(deleted, "Key")));
  }

  /** Lists a page of objects by name: those with a prefix, from a token or after a name. */
  async list(
    { prefix, after, token, limit = 1000 }: {
      readonly prefix: string;
      readonly after?: string;
      readonly token?: string | undefined;
      readonly limit?: number;
    },
  ): Promise<{ readonly objects: readonly ListedBody[]; readonly next: string | undefined }> {
    const query = {
      "list-type": "2",
      prefix,
      "max-keys": String(limit),
      ...(token === undefined ? after === undefined ? {} : { "start-after": after } : { "continuation-token": token }),
    };
    const xml = (await this.#ask("list objects", { method: "GET", query })).body.toString("utf8");
    const objects = textsOf(xml, "Contents").map((each) => ({
      name: textOf(each, "Key"),
      etag: textOf(each, "ETag"),
      bytes: Number(textOf(each, "Size")),
    }));
    const next = textOf(xml, "IsTruncated") === "true" ? textOf(xml, "NextContinuationToken") : "";
    return { objects, next: next === "" ? undefined : next };
  }

  async begin(name: string, headers: Readonly<Record<string, string>>): Promise<Upload> {
    const all = { ...CONTENT, ...headers, "x-amz-checksum-algorithm": "CRC32" };
    const reply = await this.#ask("begin upload", { method: "POST", name, query: { uploads: "" }, headers: all });
    const id = textOf(reply.body.toString("utf8"), "UploadId");
    if (id === "") throw new S3Failure("begin upload: the response has no UploadId");
    return { name, id };
  }

  /** Uploads a part; numbers start at 1. */
  async putPart({ name, id }: Upload, number: number, body: Uint8Array<ArrayBuffer>): Promise<UploadedPart> {
    const checksum = checksumOf(body);
    const query = { partNumber: String(number), uploadId: id };
    const headers = { "x-amz-checksum-crc32": checksum };
    const reply = await this.#ask("upload part", { method: "PUT", name, query, headers, body });
    return { etag: reply.headers.get("etag") ?? "", checksum };
  }

  /** Makes an upload an object; false if the condition does not hold, "gone" if there is no such upload any more. */
  async complete(
    { name, id }: Upload,
    { parts, condition }: { readonly parts: readonly UploadedPart[]; readonly condition: Condition },
  ): Promise<boolean | "gone"> {
    const members = parts.map(({ etag, checksum }, index) =>
      `<Part><PartNumber>${index + 1}</PartNumber><ETag>${
        escapeXml(etag)
      }</ETag><ChecksumCRC32>${checksum}</ChecksumCRC32></Part>`
    );
    const body = new Uint8Array(
      Buffer.from(`<CompleteMultipartUpload>${members.join("")}</CompleteMultipartUpload>`),
    );
    const headers = { "content-type": "application/xml" };
    const request: S3Request = { method: "POST", name, query: { uploadId: id }, headers, body };
    const outcome = await this.#change("complete upload", request, condition);
    return outcome === "gone" ? "gone" : outcome === "done";
  }

  async abort({ name, id }: Upload): Promise<void> {
    await this.#ask(
      "abort upload",
      { method: "DELETE", name, query: { uploadId: id } },
      ({ code }) => code === "NoSuchUpload",
    );
  }

  /** The unfinished uploads with a prefix, at most 1000, and when each was begun, in milliseconds since the epoch. */
  async uploads(prefix: string): Promise<readonly (Upload & { readonly begunMs: number })[]> {
    const reply = await this.#ask("list uploads", { method: "GET", query: { uploads: "", prefix } });
    return textsOf(reply.body.toString("utf8"), "Upload").map((each) => ({
      name: textOf(each, "Key"),
      id: textOf(each, "UploadId"),
      begunMs: Date.parse(textOf(each, "Initiated")),
    }));
  }

  /** Sends a change with its condition, or without one if the store takes none. */
  async #change(action: string, request: S3Request, condition: Condition): Promise<"done" | "refused" | "gone"> {
    const fields: Record<string, string> = condition === "absent"
      ? { "if-none-match": "*" }
      : { "if-match": condition.etag };
    const headers = { ...request.headers, ...(this.#takesConditions ? fields : {}) };
    const reply = await this.#ask(action, { ...request, headers }, isRefused);
    if (reply.status === 501) {
      if (!this.#takesConditions) throw failureOf(action, reply);
      this.#takesConditions = false;
      return await this.#change(action, request, condition);
    }
    if (reply.code === "NoSuchUpload") return "gone";
    return reply.code === "" && reply.status < 300 ? "done" : "refused";
  }

  /** Returns a response that is a success or may be. Throws for all others. */
  async #ask(
    action: string,
    request: S3Request,
    mayBe: (reply: S3Reply) => boolean = () => false,
  ): Promise<S3Reply> {
    const { trouble } = this.#health;
    if (trouble !== undefined) throw new S3Failure(`${action}: ${trouble}`);
    let reply: S3Reply;
    try {
      reply = await this.#client.send(request);
    } catch (error) {
      this.#health.check();
      throw error;
    }
    const { status, code } = reply;
    if ((status < 300 && code === "") || mayBe(reply)) return reply;
    if (status >= 500 || status === 401 || status === 403 || code === "NoSuchBucket") this.#health.check();
    const failure = failureOf(action, reply);
    if (status !== FULL_STATUS && !FULL.has(code)) throw failure;
    throw new VitrineError("no_room", failure.message, { cause: failure });
  }
}

/** Bodies are in a form of our own. */
const CONTENT: Readonly<Record<string, string>> = { "content-type": "application/octet-stream" };

/** True if a condition did not hold, is unknown to the store, or has nothing to hold for. */
function isRefused({ status, code }: S3Reply): boolean {
  return status === 412 || status === 501 || code === "ConditionalRequestConflict" || code === "NoSuchKey" ||
    code === "NoSuchUpload";
}

function checksumOf(body: Uint8Array): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(body));
  return bytes.toString("base64");
}
