import { createHash, type Hash } from "node:crypto";
import { crc32 } from "node:zlib";
import { VitrineError } from "../../core/errors.ts";
import type { TierStream } from "../changes/tier_changes.ts";
import type { StorageContext } from "../context.ts";
import type { MaybePromise, PutRequest, PutResult, Upload } from "../storage.ts";
import type { Committer } from "./committer.ts";
import { StagedSink } from "./staged_sink.ts";

/** Options of a PendingUpload. */
export interface PendingUploadOptions {
  readonly request: PutRequest;
  /** The destination of the body: L1, or the tiers if L1 has no room or the object is too large. */
  readonly sink: StagedSink | TierStream;
  /** True: acknowledge only once all tiers have it. */
  readonly through: boolean;
  readonly maxObjectBytes: number;
  readonly committer: Committer;
  /** Called once, when the upload has ended, successfully or not. */
  readonly onEnd: () => void;
}

/**
 * An upload in progress. It counts, checks and hashes the bytes, and moves from L1 to the tiers when it outgrows L1.
 */
export class PendingUpload implements Upload {
  readonly #context: StorageContext;
  readonly #options: PendingUploadOptions;
  readonly #hash: Hash | undefined;
  #staged: StagedSink | undefined;
  #stream: TierStream | undefined;
  #receivedBytes = 0;
  #crc = 0;
  #state: "open" | "finishing" | "ended" = "open";

  constructor(context: StorageContext, options: PendingUploadOptions) {
    this.#context = context;
    this.#options = options;
    this.#hash = options.request.sha256 === "" ? undefined : createHash("sha256");
    if (options.sink instanceof StagedSink) this.#staged = options.sink;
    else this.#stream = options.sink;
  }

  write(chunk: Uint8Array): MaybePromise<void> {
    if (this.#state !== "open") throw new VitrineError("client_gone", "write to upload: it has ended");
    this.#count(chunk.length);
    this.#crc = crc32(chunk, this.#crc);
    this.#hash?.update(chunk);
    return this.#take(chunk);
  }

  async finish(): Promise<PutResult> {
    if (this.#state !== "open") throw new VitrineError("client_gone", "finish upload: it has ended");
    this.#state = "finishing";
    try {
      // An empty body has no memory in L1 yet.
      if (this.#staged?.isOpen === false) await this.#take(new Uint8Array(0));
      const result = await this.#commit();
      this.#end("stored");
      return result;
    } catch (error) {
      this.#end("aborted");
      throw error;
    }
  }

  abort(): void {
    if (this.#state === "open") this.#end("aborted");
  }

  #count(bytes: number): void {
    const { request, maxObjectBytes } = this.#options;
    const received = this.#receivedBytes + bytes;
    if (request.sizeBytes !== undefined && received > request.sizeBytes) throw lengthMismatch(request, received);
    if (received > maxObjectBytes) {
      throw new VitrineError("too_large", `take upload: more than ${maxObjectBytes} bytes`, {
        details: { limit: maxObjectBytes },
      });
    }
    this.#receivedBytes = received;
  }

  #take(chunk: Uint8Array): MaybePromise<void> {
    if (this.#staged === undefined) return this.#stream?.write(chunk);
    const taken = this.#staged.append(chunk);
    return taken === "taken" ? undefined : this.#spill(this.#staged, { chunk, refusal: taken });
  }

  /** Hands the staged bytes to the tiers, then frees the staging. */
  async #spill(
    staged: StagedSink,
    next: { readonly chunk: Uint8Array; readonly refusal: "no_room" | "too_large" },
  ): Promise<void> {
    const { tiers, publish } = this.#context;
    const { request, through, committer } = this.#options;
    if (next.refusal === "no_room") {
      const { requestId } = request.key;
      publish("l1.allocation.failed", { during: "l1_store", keys: 1, bytes: this.#receivedBytes, requestId });
    }
    if (tiers.length === 0) throw new VitrineError(next.refusal, "take upload: L1 cannot hold it and there is no L2");
    const stream = committer.stream({ key: request.key, sizeBytes: request.sizeBytes, needsAll: through });
    this.#stream = stream;
    for (const chunk of staged.chunks()) await stream.write(chunk);
    await stream.write(next.chunk);
    this.#staged = undefined;
    staged.release();
  }

  #commit(): Promise<PutResult> {
    const { request, committer, through } = this.#options;
    if (request.sizeBytes !== undefined && request.sizeBytes !== this.#receivedBytes) {
      throw lengthMismatch(request, this.#receivedBytes);
    }
    if (this.#hash !== undefined && this.#hash.digest("base64") !== request.sha256) {
      throw new VitrineError("digest_mismatch", "check upload: its SHA-256 is not the one announced");
    }
    const { key, precondition, contentType, sha256, headers, ttlSeconds } = request;
    const body = { sizeBytes: this.#receivedBytes, crc32: this.#crc };
    const write = { key, precondition, object: { ...body, contentType, sha256, headers, ttlSeconds } };
    if (this.#stream !== undefined) return this.#stream.finish(write);
    if (this.#staged === undefined) throw new VitrineError("client_gone", "finish upload: it has no bytes");
    return through ? committer.through(write, this.#staged) : committer.behind(write, this.#staged);
  }

  #end(outcome: "stored" | "aborted"): void {
    this.#state = "ended";
    this.#staged?.release();
    this.#stream?.abort();
    const { key } = this.#options.request;
    const bytes = outcome === "stored" ? this.#receivedBytes : 0;
    this.#context.publish("sm.write.finished", { ...key, outcome, keys: 1, bytes });
    this.#options.onEnd();
  }
}

function lengthMismatch(request: PutRequest, received: number): VitrineError {
  return new VitrineError("length_mismatch", `take upload: ${received} bytes where another length was announced`, {
    details: { announced: request.sizeBytes ?? -1, received },
  });
}
