import type { Clock } from "../../core/clock.ts";
import { VitrineError } from "../../core/errors.ts";
import { isExpired } from "../../core/object.ts";
import type { ObjectIndex } from "./index.ts";
import type { Remover } from "./remover.ts";

/**
 * The size limit. Room is reserved in the index before bytes are written, so stored and half-written files together stay within it.
 * Evicts what was not loaded for longest: L1 in front absorbs the frequent reads, so what still reaches this tier is worth keeping by its last use,
 * and a batched note per load is all it costs.
 */
export class Room {
  /** 0 = no limit. */
  readonly limitBytes: number;
  readonly #index: ObjectIndex;
  readonly #remover: Remover;
  readonly #clock: Clock;

  constructor(
    options: {
      readonly limitBytes: number;
      readonly index: ObjectIndex;
      readonly remover: Remover;
      readonly clock: Clock;
    },
  ) {
    this.limitBytes = options.limitBytes;
    this.#index = options.index;
    this.#remover = options.remover;
    this.#clock = options.clock;
  }

  /** Throws no_room if an object of this size fits in no case. */
  assertPossible(sizeBytes: number): void {
    if (this.limitBytes > 0 && sizeBytes > this.limitBytes) throw this.#noRoom(sizeBytes);
  }

  /** Adds `bytes` to a store that holds `heldBytes` already, evicting as needed; returns what it holds now (0 without a limit). Throws no_room. */
  async reserve(bytes: number, heldBytes: number): Promise<number> {
    if (this.limitBytes === 0) return 0;
    if (heldBytes + bytes > this.limitBytes) throw this.#noRoom(heldBytes + bytes);
    while (!this.#index.reserve(bytes, this.limitBytes)) {
      const { bytes: stored, reserved } = this.#index.totals();
      if (!await this.evict(stored + reserved + bytes - this.limitBytes)) throw this.#noRoom(bytes);
    }
    return heldBytes + bytes;
  }

  /** Evicts until usage is within the limit again; for a limit that was lowered between two runs. */
  async trim(): Promise<void> {
    if (this.limitBytes === 0) return;
    for (;;) {
      const excess = this.#index.totals().bytes - this.limitBytes;
      if (excess <= 0 || !await this.evict(excess)) return;
    }
  }

  /** Removes objects that make up about `bytes`, expired ones first; false if there was none left to remove. */
  async evict(bytes: number): Promise<boolean> {
    const nowMs = this.#clock.nowMs();
    const victims = this.#index.takeVictims(bytes, nowMs);
    const expired = victims.filter((victim) => isExpired(victim.meta, nowMs));
    const live = victims.filter((victim) => !isExpired(victim.meta, nowMs));
    // Durable: a later DELETE of an evicted key answers "not there", which must stay true after a power loss.
    await this.#remover.drop(expired, { reason: "expired", durable: false });
    await this.#remover.drop(live, { reason: "capacity", durable: true });
    return victims.length > 0;
  }

  #noRoom(bytes: number): VitrineError {
    return new VitrineError("no_room", `Making room: ${bytes} bytes`, {
      details: { limitBytes: this.limitBytes, neededBytes: bytes },
    });
  }
}
