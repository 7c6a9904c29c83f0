import { keyId, type ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { StorageContext } from "../context.ts";
import { IdleCounter } from "../timers.ts";
import { isOutdating } from "../current.ts";
import type { Watch } from "../key_latch.ts";
import { askTiers } from "../tiers/tier_reader.ts";
import type { LookupListener, ObjectRead } from "../storage.ts";
import { type Boarded, Flight } from "./flight.ts";
import { followLoad, peek } from "./follow_load.ts";
import { MemoryRead } from "./memory_read.ts";

/** Finds objects: in L1 at once, else in the tiers, with one load per key over all threads. */
export class LoadController {
  readonly #context: StorageContext;
  /** The flights that may be joined. */
  readonly #flights = new Map<string, Flight>();
  /** All flights that run. */
  readonly #running = new Set<Flight>();
  readonly #idle = new IdleCounter();

  constructor(context: StorageContext) {
    this.#context = context;
  }

  get inFlight(): number {
    return this.#running.size;
  }

  /** A read of the object in L1, or undefined. */
  resident(key: ObjectKey): ObjectRead | undefined {
    const [resident] = this.#context.l1.reserveRead([key]);
    return resident === undefined ? undefined : new MemoryRead(this.#context, { key, resident, tier: "l1" });
  }

  /** A read of an object that was not in L1 a moment ago. undefined = miss. Throws tier_failed. */
  async load(key: ObjectKey, listener?: LookupListener): Promise<ObjectRead | undefined> {
    for (;;) {
      const watch = await this.#context.latch.watch(key);
      // Again, now that the watch has begun: what was committed before that is in L1, or has been.
      const resident = this.resident(key);
      if (resident !== undefined) return resident;
      if (isOutdating(this.#context.l1.know(key))) return undefined;
      const boarded = await this.#board(key, watch, listener);
      if (boarded === "miss") return undefined;
      if (boarded !== "again") return boarded;
      // Before the latch: what disturbed this flight is perhaps in L1 and being stored.
      const written = this.resident(key);
      if (written !== undefined) return written;
    }
  }

  /** Metadata and place of an object that was not in L1 a moment ago. undefined = miss. Throws tier_failed. */
  async find(
    key: ObjectKey,
    listener?: LookupListener,
  ): Promise<{ readonly meta: ObjectMeta; readonly tier: string } | undefined> {
    const { latch, l1, tiers } = this.#context;
    for (;;) {
      const watch = await latch.watch(key);
      const known = l1.know(key);
      if (known !== undefined) return known.meta && { meta: known.meta, tier: "l1" };
      const loading = peek(this.#context, key);
      if (loading !== undefined) return loading;
      const found = await askTiers(tiers, (tier) => tier.lookup(key, listener));
      if (watch.disturbed) continue;
      if (found !== undefined) return { meta: found.answer, tier: found.tier.name };
      // The tiers may have lost it while a load had it already in hand: a miss must not be followed by a hit.
      if (peek(this.#context, key) === undefined) return undefined;
    }
  }

  /** Waits for the loads that readers still want; stops the others. */
  async drain(): Promise<void> {
    for (const flight of this.#running) flight.drain();
    await this.#idle.idle();
  }

  #board(key: ObjectKey, watch: Watch, listener: LookupListener | undefined): Promise<Boarded> | Boarded {
    const id = keyId(key);
    const boarded = this.#flights.get(id)?.board(key);
    if (boarded !== undefined && boarded !== "again") return boarded;
    const followed = followLoad(this.#context, key);
    if (followed !== undefined) return followed;
    const flight = new Flight(this.#context, {
      key,
      watch,
      listener,
      onFull: () => {
        if (this.#flights.get(id) === flight) this.#flights.delete(id);
      },
    });
    this.#flights.set(id, flight);
    const first = flight.board(key);
    void this.#run(flight);
    return first;
  }

  async #run(flight: Flight): Promise<void> {
    this.#running.add(flight);
    this.#idle.enter();
    await flight.run();
    this.#running.delete(flight);
    this.#idle.leave();
  }
}
