import { createHash, type Hash } from "node:crypto";
import { crc32 } from "node:zlib";
import { VitrineError } from "../core/errors.ts";
import type { ObjectMeta } from "../core/object.ts";
import type { AdmitConditions, Decide, StoreLimits } from "../l1/l1.ts";
import type { ReleaseRoom } from "./changes/store_room.ts";
import type { StreamRequest, TierChanges, TierStream, VerifiedWrite } from "./changes/tier_changes.ts";
import type { StorageContext } from "./context.ts";
import { assertHolds, commitOf, currentOf, newMeta, nowOf } from "./current.ts";
import { leaseLost, StagedSink, type StagingRefusal } from "./leased_memory.ts";
import type { KeySnapshot } from "./shared/key_lock.ts";
import {
  AT_ONCE_BYTES,
  type LateFacts,
  type MaybePromise,
  type PutRequest,
  type PutResult,
  type Upload,
} from "./storage.ts";

const NO_BYTES = new Uint8Array();

/** Admits an object to L1. */
type Admit = (meta: ObjectMeta, conditions: AdmitConditions) => "admitted" | "full" | "stale" | "unwanted";

/** Options of a PendingUpload. */
export interface PendingUploadOptions {
  readonly request: PutRequest;
  /** The tiers, if L1 has no room or the object is too large for it. */
  readonly stream: TierStream | undefined;
  /** Unique among the uploads of this thread. */
  readonly id: number;
  /** True: acknowledge only once all tiers have it. */
  readonly through: boolean;
  readonly settings: UploadSettings;
  /** Called once, when the upload has ended, successfully or not. */
  readonly onEnd: () => void;
}

/** What all uploads of a storage manager share. */
export interface UploadSettings {
  readonly maxObjectBytes: number;
  readonly changes: TierChanges;
  /** Limits on dirty objects. */
  readonly storeQueue: StoreLimits;
}

/** The tiers' object of a key, and a snapshot that says whether it may have changed since. */
interface Looked {
  readonly snapshot: KeySnapshot;
  readonly inTiers: ObjectMeta | undefined;
}

/**
 * An upload in progress. It counts, checks and hashes the bytes, and moves from L1 to the tiers when it outgrows L1.
 * Its end makes the object the current one of its key, in one step for readers.
 */
export class PendingUpload implements Upload {
  readonly #context: StorageContext;
  readonly #options: PendingUploadOptions;
  readonly #hash: Hash | undefined;
  /** Memory of L1, from the first bytes that need it on. */
  #staged: StagedSink | undefined;
  #stream: TierStream | undefined;
  #receivedBytes = 0;
  #crc = 0;
  #state: "open" | "finishing" | "ended" = "open";

  constructor(context: StorageContext, options: PendingUploadOptions) {
    this.#context = context;
    this.#options = options;
    this.#hash = options.request.sha256 === "" ? undefined : createHash("sha256");
    this.#stream = options.stream;
  }

  write(chunk: Uint8Array): MaybePromise<void> {
    if (this.#state !== "open") throw new VitrineError("client_gone", "write to upload: it has ended");
    this.#check(chunk);
    return this.#take(chunk);
  }

  async finish(late: LateFacts = {}): Promise<PutResult> {
    const { last = NO_BYTES } = late;
    if (this.#state !== "open") throw new VitrineError("client_gone", "finish upload: it has ended");
    this.#state = "finishing";
    try {
      this.#check(last);
      const write = this.#verified(late);
      const result = this.#atOnce(write, last) ?? await this.#commit(write, last);
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

  /** Counts and hashes the next bytes. */
  #check(chunk: Uint8Array): void {
    const { request, settings: { maxObjectBytes } } = this.#options;
    const received = this.#receivedBytes + chunk.length;
    if (request.sizeBytes !== undefined && received > request.sizeBytes) throw lengthMismatch(request, received);
    if (received > maxObjectBytes) {
      throw new VitrineError("too_large", `take upload: more than ${maxObjectBytes} bytes`, {
        details: { limit: maxObjectBytes },
      });
    }
    this.#receivedBytes = received;
    this.#crc = crc32(chunk, this.#crc);
    this.#hash?.update(chunk);
  }

  #take(chunk: Uint8Array): MaybePromise<void> {
    if (this.#staged === undefined && this.#stream !== undefined) return this.#stream.write(chunk);
    this.#staged ??= this.#stage();
    const taken = this.#staged.append(chunk);
    return taken === "taken" ? undefined : this.#spill(this.#staged, { chunk, refusal: taken });
  }

  #stage(): StagedSink {
    const { l1, renewer, shared } = this.#context;
    const { request: { key, contentType, sha256, headers, sizeBytes }, id } = this.#options;
    // Each upload has its own tag, whatever its thread: PUTs of one key stage in parallel, and the last to finish wins.
    const tag = `put:${shared.workerId}:${id}`;
    return new StagedSink({ l1, renewer, object: { key, contentType, sha256, headers }, tag, sizeBytes });
  }

  /** Hands the staged bytes to the tiers, then frees the staging. */
  async #spill(
    staged: StagedSink,
    next: { readonly chunk: Uint8Array; readonly refusal: StagingRefusal },
  ): Promise<void> {
    if (next.refusal === "over_quota") throw overQuota();
    const { tiers, publish } = this.#context;
    const { request, through, settings: { changes } } = this.#options;
    if (next.refusal === "no_room") {
      const { requestId } = request.key;
      publish("l1.allocation.failed", { during: "l1_store", keys: 1, bytes: this.#receivedBytes, requestId });
    }
    if (tiers.length === 0) throw new VitrineError(next.refusal, "take upload: L1 cannot hold it and there is no L2");
    const stream = changes.stream(streamOf(request, through));
    this.#stream = stream;
    for (const chunk of staged.chunks()) await stream.write(chunk);
    await stream.write(next.chunk);
    this.#staged = undefined;
    staged.release();
  }

  /** The write, once its body has arrived whole and its length and digest are right. */
  #verified(late: LateFacts): VerifiedWrite {
    const { request } = this.#options;
    const { key, contentType, sha256, ttlSeconds } = request;
    const { headers = request.headers, precondition = request.precondition, origin } = late;
    if (request.sizeBytes !== undefined && request.sizeBytes !== this.#receivedBytes) {
      throw lengthMismatch(request, this.#receivedBytes);
    }
    if (this.#hash !== undefined && this.#hash.digest("base64") !== sha256) {
      throw new VitrineError("digest_mismatch", "check upload: its SHA-256 is not the one announced");
    }
    const sizeBytes = this.#receivedBytes;
    const crc = this.#crc;
    if (origin !== undefined && (origin.sizeBytes !== sizeBytes || origin.crc32 !== crc)) {
      throw new VitrineError("digest_mismatch", "check upload: size or CRC-32 is not the one announced");
    }
    return { key, precondition, object: { sizeBytes, crc32: crc, contentType, sha256, headers, ttlSeconds, origin } };
  }

  /** Admits a small body of which nothing was staged, in one step of L1. undefined: it has to be staged. */
  #atOnce(write: VerifiedWrite, bytes: Uint8Array): PutResult | undefined {
    const { l1, tiers, shared } = this.#context;
    const isUntouched = this.#staged === undefined && this.#stream === undefined;
    if (this.#options.through || !isUntouched || bytes.length > AT_ONCE_BYTES) return undefined;
    if (tiers.length > 0 && shared.isRoomAwaited) return undefined;
    const admitted = this.#admit(write, (meta, conditions) => {
      const outcome = l1.write({ key: write.key, meta, bytes }, conditions);
      if (outcome === "over_quota") throw overQuota();
      // The staging meets the same refusal, and reports it.
      return outcome === "no_room" || outcome === "too_large" ? "unwanted" : outcome;
    });
    return admitted === "full" ? undefined : admitted;
  }

  async #commit(write: VerifiedWrite, last: Uint8Array): Promise<PutResult> {
    // An empty body has no memory in L1 yet.
    if (last.length > 0 || (this.#staged === undefined && this.#stream === undefined)) await this.#take(last);
    if (this.#stream !== undefined) return this.#stream.finish(write);
    const staged = this.#staged;
    if (staged === undefined) throw new VitrineError("client_gone", "finish upload: it has no bytes");
    const { through, settings: { changes } } = this.#options;
    return through ? changes.put({ ...write, lease: staged.lease }) : this.#writeBack(write, staged);
  }

  /**
   * Admits to L1, and the tiers get the object in the background. Waits while there is no room for another dirty
   * object.
   */
  async #writeBack(write: VerifiedWrite, staged: StagedSink): Promise<PutResult> {
    const { l1, tiers, keyLock, shared } = this.#context;
    const { changes } = this.#options.settings;
    const { key, object, precondition } = write;
    const admit: Admit = (meta, conditions) => l1.admit(commitOf(staged.lease, meta), conditions);
    let isFull = tiers.length > 0 && shared.isRoomAwaited;
    let release: ReleaseRoom | undefined;
    try {
      for (let looked: Looked | undefined;;) {
        if (isFull) {
          const again = release !== undefined;
          release?.();
          release = await changes.room({ key, bytes: object.sizeBytes, again });
        }
        const admitted = this.#admit(write, admit, looked);
        isFull = admitted === "full";
        if (admitted === "full") continue;
        if (admitted !== undefined) {
          staged.admitted();
          return admitted;
        }
        const snapshot = await keyLock.snapshot(key);
        looked = { snapshot, inTiers: await currentOf(this.#context, key, { mustKnow: precondition !== undefined }) };
      }
    } finally {
      release?.();
    }
  }

  /**
   * Checks the precondition and admits, in one critical section of L1. Does not take the key's lock, so that a hot key
   * does not wait for its own store. undefined: the key's current object is unknown, or a thread is clearing.
   */
  #admit(write: VerifiedWrite, admit: Admit, looked?: Looked): PutResult | "full" | undefined {
    const { tiers, shared } = this.#context;
    const { key, object, precondition } = write;
    let current: ObjectMeta | undefined;
    const decide: Decide = (known, encoded) => {
      const isKnown = known !== undefined || tiers.length === 0 || looked?.snapshot.hasChanged === false ||
        shared.isNew(key);
      if (!isKnown || shared.stripes.isClearing) return false;
      current = nowOf(this.#context, known, looked?.inTiers);
      assertHolds(precondition, current);
      shared.history.storingEncoded(encoded);
      return true;
    };
    const meta = newMeta(this.#context, object);
    const dirty = tiers.length > 0 ? this.#options.settings.storeQueue : undefined;
    const outcome = admit(meta, { dirty, decide });
    if (outcome === "full") return outcome;
    if (outcome === "unwanted") return undefined;
    if (outcome === "stale") throw leaseLost();
    if (dirty !== undefined) this.#options.settings.changes.wake(tracedWriteOf(write, meta));
    return { meta, replaced: current !== undefined, before: current };
  }

  #end(outcome: "stored" | "aborted"): void {
    this.#state = "ended";
    this.#staged?.release();
    this.#stream?.abort();
    const { tenant, key, requestId } = this.#options.request.key;
    const bytes = outcome === "stored" ? this.#receivedBytes : 0;
    this.#context.publish("sm.write.finished", { tenant, key, requestId, outcome, keys: 1, bytes });
    this.#options.onEnd();
  }
}

function tracedWriteOf({ key: { requestId } }: VerifiedWrite, { version }: ObjectMeta) {
  return requestId === undefined ? undefined : { version, requestId };
}

/** The request to store an upload in the tiers as it arrives. */
export function streamOf(request: PutRequest, needsAll: boolean): StreamRequest {
  const { key, sizeBytes, contentType, sha256, headers } = request;
  return { key, sizeBytes, needsAll, early: { contentType, sha256, ...(headers === undefined ? {} : { headers }) } };
}

function overQuota(): VitrineError {
  return new VitrineError("over_quota", "take upload: the tenant's quota of L1 is strict and leaves no room for it");
}

function lengthMismatch(request: PutRequest, received: number): VitrineError {
  return new VitrineError("length_mismatch", `take upload: ${received} bytes where another length was announced`, {
    details: { announced: request.sizeBytes ?? -1, received },
  });
}
