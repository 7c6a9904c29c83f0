import { keyId, type ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { StorageContext } from "../context.ts";
import { IdleCounter } from "../idle_counter.ts";
import { askTiers } from "../tiers/ask_tiers.ts";
import type { ObjectRead } from "../types.ts";
import { Flight } from "./flight.ts";
import { MemoryRead } from "./memory_read.ts";

/** Finds objects: in L1 at once, else in the tiers, with one load per key. */
export class LoadController {
  readonly #context: StorageContext;
  readonly #isUnsaved: (key: ObjectKey) => boolean;
  /** The flights that may be joined. */
  readonly #flights = new Map<string, { readonly flight: Flight; readonly key: ObjectKey }>();
  /** All flights that run, detached ones too. */
  readonly #running = new Set<Flight>();
  readonly #idle = new IdleCounter();

  /** `isUnsaved`: whether the tiers' copies of a key are outdated because its store is still to come; then L1 alone decides. */
  constructor(context: StorageContext, isUnsaved: (key: ObjectKey) => boolean) {
    this.#context = context;
    this.#isUnsaved = isUnsaved;
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
  async load(key: ObjectKey): Promise<ObjectRead | undefined> {
    while (!this.#isUnsaved(key)) {
      const busy = this.#context.latch.busy(key);
      if (busy !== undefined) await busy;
      else {
        const boarded = await this.#flightOf(key).board();
        if (boarded === "miss") return undefined;
        if (boarded !== "again") return boarded;
      }
      const resident = this.resident(key);
      if (resident !== undefined) return resident;
    }
    return undefined;
  }

  /** Metadata and place of an object that was not in L1 a moment ago. undefined = miss. Throws tier_failed. */
  async find(key: ObjectKey): Promise<{ readonly meta: ObjectMeta; readonly tier: string } | undefined> {
    const { latch, l1, tiers } = this.#context;
    while (!this.#isUnsaved(key)) {
      const busy = latch.busy(key);
      if (busy !== undefined) await busy;
      else {
        const watch = latch.watch(key);
        try {
          const found = await askTiers(tiers, (tier) => tier.lookup(key));
          if (!watch.disturbed) return found && { meta: found.answer, tier: found.tier.name };
        } finally {
          watch.done();
        }
      }
      const meta = l1.peek(key);
      if (meta !== undefined) return { meta, tier: "l1" };
    }
    return undefined;
  }

  /** To be called in the same turn in which a key gets a new object or loses its object. */
  detach(key: ObjectKey): void {
    const id = keyId(key);
    this.#flights.get(id)?.flight.detach();
    this.#flights.delete(id);
  }

  /** Like `detach`, for all keys or one tenant's; returns the keys. */
  detachAll(tenant: string | undefined): readonly ObjectKey[] {
    const keys = [...this.#flights.values()]
      .map((entry) => entry.key)
      .filter((key) => tenant === undefined || key.tenant === tenant);
    for (const key of keys) this.detach(key);
    return keys;
  }

  /** Waits for the loads that readers still want; stops the others. */
  async drain(): Promise<void> {
    for (const flight of this.#running) flight.drain();
    await this.#idle.idle();
  }

  #flightOf(key: ObjectKey): Flight {
    const id = keyId(key);
    const entry = this.#flights.get(id);
    if (entry !== undefined) return entry.flight;
    const flight = new Flight(this.#context, key, () => {
      if (this.#flights.get(id)?.flight === flight) this.#flights.delete(id);
    });
    this.#flights.set(id, { flight, key });
    void this.#run(flight);
    return flight;
  }

  async #run(flight: Flight): Promise<void> {
    this.#running.add(flight);
    this.#idle.enter();
    await flight.run();
    this.#running.delete(flight);
    this.#idle.leave();
  }
}
