import type { Clock } from "../../core/clock.ts";
import { VitrineError } from "../../core/errors.ts";
import { isExpired } from "../../core/object.ts";
import { faultOf } from "./faults.ts";
import type { FreeSpace } from "./free_space.ts";
import type { ObjectIndex } from "./index.ts";
import type { Remover } from "./remover.ts";
import type { Reserve } from "./reserve.ts";
import type { WriteGate } from "./write_gate.ts";

/** What is evicted at least when the disk is full: more than the store that noticed it needs, so that the next one does not notice it again. */
const FULL_EVICT_BYTES = 8 * 1024 * 1024;
/** How often a full disk is given room before a store gives up; others may take what was freed. */
const FULL_ROUNDS = 8;
/** Entries that are evicted at once on a full disk, where the index itself has little room to note it. */
const FULL_VICTIMS = 16;
/** Cleared entries that are removed at once where room is needed. */
const CLEARED_KEYS = 64;
/** Expired entries removed in one step, and steps in one sweep. */
const SWEEP_KEYS = 128;
const SWEEP_STEPS = 16;

/**
 * The size limit. Room is reserved in the index before bytes are written, so stored and half-written files together stay within it; the free space of the disk
 * bounds it further, so it shrinks when others fill the disk.
 * Evicts what was not loaded for longest: L1 in front absorbs the frequent reads, so what still reaches this tier is worth keeping by its last use,
 * and a batched note per load is all it costs.
 */
export class Room {
  /** 0 = no limit. */
  readonly limitBytes: number;
  readonly #index: ObjectIndex;
  readonly #gate: WriteGate;
  readonly #remover: Remover;
  readonly #free: FreeSpace;
  readonly #reserve: Reserve;
  readonly #clock: Clock;

  constructor(
    options: {
      readonly limitBytes: number;
      readonly index: ObjectIndex;
      readonly gate: WriteGate;
      readonly remover: Remover;
      readonly free: FreeSpace;
      readonly reserve: Reserve;
      readonly clock: Clock;
    },
  ) {
    this.limitBytes = options.limitBytes;
    this.#index = options.index;
    this.#gate = options.gate;
    this.#remover = options.remover;
    this.#free = options.free;
    this.#reserve = options.reserve;
    this.#clock = options.clock;
  }

  /** Throws no_room if an object of this size fits in no case. */
  assertPossible(sizeBytes: number): void {
    if (this.limitBytes > 0 && sizeBytes > this.limitBytes) throw this.#noRoom(sizeBytes);
  }

  /** What the limit comes to on this disk: what is stored and what may still be written, if that is less than the limit. */
  usableBytes(storedBytes: number): number {
    if (this.limitBytes === 0) return 0;
    return Math.max(0, Math.min(this.limitBytes, Math.floor(storedBytes + this.#free.headroomBytes)));
  }

  /** Adds `bytes` to a store that holds `heldBytes` already, evicting as needed; returns what it holds now (0 without a limit). Throws no_room. */
  async reserve(bytes: number, heldBytes: number): Promise<number> {
    if (this.limitBytes > 0 && heldBytes + bytes > this.limitBytes) throw this.#noRoom(heldBytes + bytes);
    const missing = await this.#free.take(bytes);
    if (missing > 0 && !await this.#evictAll(missing)) throw this.#noRoom(bytes);
    if (this.limitBytes === 0) return 0;
    while (!await this.whenFull(() => this.#gate.run(() => this.#index.reserve(bytes, this.limitBytes)))) {
      const { bytes: stored, reserved } = this.#index.totals();
      if (await this.evict(stored + reserved + bytes - this.limitBytes) === 0) throw this.#noRoom(bytes);
    }
    return heldBytes + bytes;
  }

  /** Evicts until usage is within the limit again; for a limit that was lowered between two runs. */
  async trim(): Promise<void> {
    if (this.limitBytes === 0) return;
    for (;;) {
      const excess = this.#index.totals().bytes - this.limitBytes;
      if (excess <= 0 || await this.evict(excess) === 0) return;
    }
  }

  /** Does what needs room on the disk; if the disk turns out to be full, room is made and it is done again. Throws what `work` throws in the end. */
  async whenFull<T>(work: () => Promise<T>): Promise<T> {
    for (let round = 0;; round += 1) {
      try {
        return await work();
      } catch (error) {
        if (faultOf(error) !== "full" || round >= FULL_ROUNDS || !await this.#makeRoom()) throw error;
      }
    }
  }

  /** Removes objects that make up about `bytes`, expired ones first; returns the length of their files, 0 if there was none left to remove. */
  async evict(bytes: number, most?: number): Promise<number> {
    const nowMs = this.#clock.nowMs();
    const cleared = await this.spendReserve(() => this.#gate.run(() => this.#index.takeCleared(most ?? CLEARED_KEYS)));
    if (cleared.length > 0) {
      await this.#remover.drop(cleared, { reason: "cleared", durable: true });
      return cleared.reduce((sum, entry) => sum + entry.fileBytes, 0);
    }
    const victims = await this.spendReserve(() => this.#gate.run(() => this.#index.takeVictims(bytes, nowMs, most)));
    const expired = victims.filter((victim) => isExpired(victim.meta, nowMs));
    const live = victims.filter((victim) => !isExpired(victim.meta, nowMs));
    // Durable: a later DELETE of an evicted key answers "not there", which must stay true after a power loss.
    await this.#remover.drop(expired, { reason: "expired", durable: false });
    await this.#remover.drop(live, { reason: "capacity", durable: true });
    return victims.reduce((sum, victim) => sum + victim.fileBytes, 0);
  }

  /** Removes what has expired, a bounded number of objects. */
  async sweep(): Promise<void> {
    for (let step = 0; step < SWEEP_STEPS; step += 1) {
      const nowMs = this.#clock.nowMs();
      const expired = await this.spendReserve(() => this.#gate.run(() => this.#index.takeExpired(nowMs, SWEEP_KEYS)));
      await this.#remover.drop(expired, { reason: "expired", durable: false });
      if (expired.length < SWEEP_KEYS) return;
    }
  }

  /** Does what makes room; if not even that finds room, the reserve is given up for it, then objects whose files go before the index knows. */
  async spendReserve<T>(work: () => Promise<T>): Promise<T> {
    for (let round = 0;; round += 1) {
      try {
        return await work();
      } catch (error) {
        if (faultOf(error) !== "full" || round >= FULL_ROUNDS) throw error;
        if (!this.#reserve.giveUp() && !await this.#sacrifice()) throw error;
      }
    }
  }

  /** Removes the files of a few objects to evict, so that the index has room to note that they are gone. False if there are none. */
  async #sacrifice(): Promise<boolean> {
    const victims = this.#index.victims(FULL_VICTIMS);
    await this.#remover.removeFiles(victims);
    try {
      const noted = await this.#gate.run(() =>
        this.#index.transaction(() => victims.filter((row) => this.#index.remove(row)))
      );
      this.#remover.publish(noted, "capacity");
    } catch (error) {
      // Not noted, they are found missing by whoever wants them.
      if (faultOf(error) !== "full") throw error;
    }
    return victims.length > 0;
  }

  async #makeRoom(): Promise<boolean> {
    for (let freed = 0; freed < FULL_EVICT_BYTES;) {
      const bytes = await this.evict(FULL_EVICT_BYTES - freed, FULL_VICTIMS);
      if (bytes === 0) return freed > 0;
      freed += bytes;
    }
    return true;
  }

  /** False if there was not so much to evict. */
  async #evictAll(bytes: number): Promise<boolean> {
    for (let freed = 0; freed < bytes;) {
      const more = await this.evict(bytes - freed);
      if (more === 0) return false;
      freed += more;
    }
    return true;
  }

  #noRoom(bytes: number): VitrineError {
    return new VitrineError("no_room", `Making room: ${bytes} bytes`, {
      details: { limitBytes: this.limitBytes, neededBytes: bytes },
    });
  }
}
