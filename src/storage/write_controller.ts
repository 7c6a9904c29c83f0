import { VitrineError } from "../core/errors.ts";
import type { ObjectKey, ObjectMeta } from "../core/object.ts";
import type { StorageContext } from "./context.ts";
import { assertHolds } from "./current.ts";
import type { MaybePromise, PutRequest, Upload } from "./storage.ts";
import { IdleCounter } from "./timers.ts";
import { PendingUpload, streamOf, type UploadSettings } from "./upload.ts";

/** Options of a WriteController. */
export interface WriteControllerOptions extends UploadSettings {
  /** The server's setting: acknowledge from L1 (back), or once all tiers have it (through). */
  readonly write: "back" | "through";
  /** Metadata of an object that was not in L1 a moment ago, for early checks of preconditions. Throws tier_failed. */
  readonly find: (key: ObjectKey) => Promise<ObjectMeta | undefined>;
}

/** Reserves room for uploads, or refuses them before their body is read. */
export class WriteController {
  readonly #context: StorageContext;
  readonly #options: WriteControllerOptions;
  readonly #uploads = new IdleCounter();
  #draining = false;
  #lastId = 0;

  constructor(context: StorageContext, options: WriteControllerOptions) {
    this.#context = context;
    this.#options = options;
  }

  reserve(request: PutRequest): MaybePromise<Upload> {
    this.#uploads.enter();
    try {
      if (this.#draining) throw new VitrineError("shutting_down", "reserve upload: the server is shutting down");
      const { maxObjectBytes } = this.#options;
      if (request.sizeBytes !== undefined && request.sizeBytes > maxObjectBytes) {
        throw new VitrineError("too_large", `reserve upload: more than ${maxObjectBytes} bytes`, {
          details: { limit: maxObjectBytes, size: request.sizeBytes },
        });
      }
      const checked = this.#check(request);
      if (checked === undefined) return this.#open(request);
      return checked.then(() => this.#open(request)).catch((error: unknown) => this.#refuse(request, error));
    } catch (error) {
      return this.#refuse(request, error);
    }
  }

  /** Refuses further uploads and waits for the running ones. */
  async drain(): Promise<void> {
    this.#draining = true;
    await this.#uploads.idle();
  }

  #refuse(request: PutRequest, error: unknown): never {
    const { tenant, requestId } = request.key;
    this.#context.publish("sm.write.reserved", { tenant, succeeded: 0, failed: 1, requestId });
    this.#uploads.leave();
    throw error;
  }

  /** Refuses early. The precondition is checked again when the upload is committed. */
  #check({ key, precondition }: PutRequest): Promise<void> | undefined {
    if (precondition === undefined) return undefined;
    const resident = this.#context.l1.peek(key);
    if (resident === undefined && this.#context.tiers.length > 0 && !this.#context.shared.isNew(key)) {
      return this.#options.find(key).then((current) => assertHolds(precondition, current));
    }
    assertHolds(precondition, resident);
    return undefined;
  }

  #open(request: PutRequest): Upload {
    const { tiers, publish } = this.#context;
    const durability = request.durability ?? (this.#options.write === "through" ? "l2" : "l1");
    const through = durability === "l2" && tiers.length > 0;
    const stream = this.#mayStage(request) ? undefined : this.#options.changes.stream(streamOf(request, through));
    const { tenant, requestId } = request.key;
    publish("sm.write.reserved", { tenant, succeeded: 1, failed: 0, requestId });
    const onEnd = (): void => this.#uploads.leave();
    this.#lastId += 1;
    return new PendingUpload(this.#context, {
      request,
      stream,
      id: this.#lastId,
      through,
      settings: this.#options,
      onEnd,
    });
  }

  /** True if L1 takes the upload, false if it has to go past L1. Throws too_large, no_room. */
  #mayStage({ key, sizeBytes }: PutRequest): boolean {
    const { l1, tiers, publish } = this.#context;
    const bytes = sizeBytes ?? 0;
    if (bytes > l1.admissionLimitBytes) {
      if (tiers.length > 0) return false;
      throw new VitrineError("too_large", `reserve upload: more than L1 admits, and there is no L2: ${bytes}`, {
        details: { limit: l1.admissionLimitBytes, size: bytes },
      });
    }
    if (l1.mayStage(bytes)) return true;
    publish("l1.allocation.failed", { during: "l1_store", keys: 1, bytes, requestId: key.requestId });
    if (tiers.length > 0) return false;
    throw new VitrineError(
      "no_room",
      `reserve upload: unfinished ones fill their share of L1, and there is no L2: ${bytes}`,
      {
        details: { size: bytes },
      },
    );
  }
}
