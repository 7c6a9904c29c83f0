import { VitrineError } from "../../core/errors.ts";
import { HandOver } from "../../core/hand_over.ts";
import type { ObjectKey, ObjectMeta, Precondition } from "../../core/object.ts";
import type { Replaced, StoreSource } from "../../l2/adapter.ts";
import type { StoreResult, Tier } from "../tiers/tier.ts";

interface TierUpload {
  readonly handOver: HandOver;
  readonly result: Promise<StoreResult>;
}

/** The end of an upload. */
export interface StreamEnd {
  readonly meta: ObjectMeta;
  readonly precondition: Precondition | undefined;
  /** Called in the step that makes the object visible. Throws if no client waits for it any more. */
  readonly assertWanted: (replaced?: Replaced) => void;
}

/** Options of a StreamSink. */
export interface StreamSinkOptions {
  readonly key: ObjectKey;
  readonly tiers: readonly Tier[];
  readonly sizeBytes: number | undefined;
  readonly early: StoreSource["early"];
  /**
   * True: the upload fails with the first tier that fails; false: only with the last one, and tiers that cannot be used
   * are left out.
   */
  readonly needsAll: boolean;
}

/**
 * Streams an upload to all tiers in parallel, at the pace of the slowest, holding one chunk. Nothing is visible before
 * `finish`.
 */
export class StreamSink {
  readonly #uploads: readonly TierUpload[];
  readonly #needsAll: boolean;
  #failures: readonly Error[] = [];
  #ending: StreamEnd | undefined;

  constructor(options: StreamSinkOptions) {
    this.#needsAll = options.needsAll;
    this.#uploads = options.tiers.map((tier) => this.#upload(tier, options));
  }

  /** Resolves when all tiers are done with the chunk's memory. Throws what the tiers threw: tier_failed or no_room. */
  async write(chunk: Uint8Array): Promise<void> {
    await Promise.all(this.#uploads.map((upload) => upload.handOver.put(chunk)));
    const [failure] = this.#failures;
    if (failure === undefined) return;
    if (this.#needsAll || this.#failures.length === this.#uploads.length) throw failure;
  }

  /** Makes the object visible. */
  finish(ending: StreamEnd): Promise<readonly StoreResult[]> {
    this.#ending = ending;
    for (const upload of this.#uploads) upload.handOver.end();
    return Promise.all(this.#uploads.map((upload) => upload.result));
  }

  /** Aborts: nothing becomes visible. No effect after `finish`. */
  abort(): void {
    const error = new VitrineError("client_gone", "store upload: it was broken off");
    for (const upload of this.#uploads) upload.handOver.fail(error);
  }

  #upload(tier: Tier, options: StreamSinkOptions): TierUpload {
    const handOver = new HandOver();
    const { trouble } = tier;
    if (trouble !== undefined && !options.needsAll) {
      const error = new VitrineError("tier_failed", `store upload: tier ${tier.name}: ${trouble}`);
      this.#failures = [...this.#failures, error];
      handOver.close();
      return { handOver, result: Promise.resolve({ tier, error, isInDoubt: false }) };
    }
    const { sizeBytes, early } = options;
    const source: StoreSource = {
      chunks: handOver,
      early,
      meta: (): ObjectMeta => {
        if (this.#ending === undefined) throw new VitrineError("client_gone", "store upload: it has not ended");
        return this.#ending.meta;
      },
      precondition: () => this.#ending?.precondition,
      assertWanted: (replaced) => this.#ending?.assertWanted(replaced),
    };
    const storing = tier.store(options.key, sizeBytes === undefined ? source : { ...source, sizeBytes });
    const result = storing.then((ended) => {
      if (ended.error !== undefined) this.#failures = [...this.#failures, ended.error];
      handOver.close();
      return ended;
    });
    return { handOver, result };
  }
}
