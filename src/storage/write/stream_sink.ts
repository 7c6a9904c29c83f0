import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { Tier } from "../tiers/tier.ts";
import { HandOver } from "./hand_over.ts";

/** How a store in one tier ended. */
export interface StoreResult {
  readonly tier: Tier;
  /** undefined: stored. */
  readonly error: unknown;
}

interface Lane {
  readonly tier: Tier;
  readonly handOver: HandOver;
  readonly result: Promise<StoreResult>;
}

/** What a StreamSink is made of. */
export interface StreamSinkOptions {
  readonly key: ObjectKey;
  readonly tiers: readonly Tier[];
  readonly sizeBytes: number | undefined;
  /** Whether the upload fails with the first tier that fails, or only with the last. */
  readonly needsAll: boolean;
}

/** Streams an upload to all tiers side by side, at the pace of the slowest, holding one chunk. Nothing is visible before `finish`. */
export class StreamSink {
  readonly #lanes: readonly Lane[];
  readonly #needsAll: boolean;
  #failures: readonly StoreResult[] = [];
  #meta: ObjectMeta | undefined;

  constructor(options: StreamSinkOptions) {
    this.#needsAll = options.needsAll;
    this.#lanes = options.tiers.map((tier) => this.#lane(tier, options));
  }

  /** Resolves when all tiers are done with the chunk's memory. Throws what the tiers threw, tier_failed or no_room. */
  async write(chunk: Uint8Array): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.handOver.put(chunk)));
    const [failure] = this.#failures;
    if (failure === undefined) return;
    if (this.#needsAll || this.#failures.length === this.#lanes.length) throw failure.error;
  }

  /** Makes the object visible, tier by tier; resolves when all have answered. To be called under the key's latch. */
  finish(meta: ObjectMeta): Promise<readonly StoreResult[]> {
    this.#meta = meta;
    for (const lane of this.#lanes) lane.handOver.end();
    return Promise.all(this.#lanes.map((lane) => lane.result));
  }

  /** Breaks off: nothing becomes visible. Without effect after `finish`. */
  abort(): void {
    const error = new VitrineError("client_gone", "store upload: it was broken off");
    for (const lane of this.#lanes) lane.handOver.fail(error);
  }

  #lane(tier: Tier, options: StreamSinkOptions): Lane {
    const handOver = new HandOver();
    const source = {
      chunks: handOver,
      meta: (): ObjectMeta => {
        if (this.#meta === undefined) throw new VitrineError("client_gone", "store upload: it has not ended");
        return this.#meta;
      },
    };
    const { sizeBytes } = options;
    const result = tier
      .store(options.key, sizeBytes === undefined ? source : { ...source, sizeBytes })
      .then((): StoreResult => ({ tier, error: undefined }))
      .catch((error: unknown): StoreResult => {
        const failed = { tier, error };
        this.#failures = [...this.#failures, failed];
        return failed;
      })
      .finally(() => handOver.close());
    return { tier, handOver, result };
  }
}
