import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { StoreResult, Tier } from "../tiers/tier.ts";
import { HandOver } from "./hand_over.ts";

interface Lane {
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

/**
 * Streams an upload to all tiers side by side, at the pace of the slowest, holding one chunk. Nothing is visible before
 * `finish`.
 */
export class StreamSink {
  readonly #lanes: readonly Lane[];
  readonly #needsAll: boolean;
  #failures: readonly Error[] = [];
  #ending: { readonly meta: ObjectMeta; readonly assertWanted: () => void } | undefined;

  constructor(options: StreamSinkOptions) {
    this.#needsAll = options.needsAll;
    this.#lanes = options.tiers.map((tier) => this.#lane(tier, options));
  }

  /** Resolves when all tiers are done with the chunk's memory. Throws what the tiers threw, tier_failed or no_room. */
  async write(chunk: Uint8Array): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.handOver.put(chunk)));
    const [failure] = this.#failures;
    if (failure === undefined) return;
    if (this.#needsAll || this.#failures.length === this.#lanes.length) throw failure;
  }

  /**
   * Makes the object visible. `assertWanted` is called in that very step, and throws if nobody waits for it any more.
   */
  finish(meta: ObjectMeta, assertWanted: () => void): Promise<readonly StoreResult[]> {
    this.#ending = { meta, assertWanted };
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
        if (this.#ending === undefined) throw new VitrineError("client_gone", "store upload: it has not ended");
        return this.#ending.meta;
      },
      assertWanted: () => this.#ending?.assertWanted(),
    };
    const { sizeBytes } = options;
    const storing = tier.store(options.key, sizeBytes === undefined ? source : { ...source, sizeBytes });
    const result = storing.then((ended) => {
      if (ended.error !== undefined) this.#failures = [...this.#failures, ended.error];
      handOver.close();
      return ended;
    });
    return { handOver, result };
  }
}
