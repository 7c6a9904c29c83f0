import type { ObjectKey, ObjectMeta } from "../core/object.ts";
import { FIELD, FLAG, STATE } from "./arena/entry.ts";
import type { UseHit } from "./l1.ts";
import type { Parts } from "./lifecycle.ts";
import type { Locked, SharedLock } from "./lock.ts";

const NONE = -1;

/** Number of objects whose metadata and views a thread keeps ready. */
const MAX_READY = 4096;

/** An object that was hit: the same for every hit of it, as long as it is kept. */
interface Ready {
  readonly entry: number;
  readonly generation: number;
  readonly meta: ObjectMeta;
  readonly extents: readonly Uint8Array[];
}

/**
 * Hits in one step, without the lock and without a lease. The thread looks the entry up, announces it (HitTable), and
 * then checks that it is what it looked for: an entry that is resident at that moment is not freed until the thread
 * has ended the hit. Whatever is in doubt is no hit; the caller asks again under the lock.
 */
export class Hits {
  readonly #parts: Parts;
  readonly #lock: SharedLock;
  readonly #locked: Locked;
  readonly #ready: (Ready | undefined)[] = Array.from({ length: MAX_READY }, () => undefined);
  #isHitting = false;
  #hasAskedForRow = false;

  constructor(parts: Parts, { lock, locked }: { readonly lock: SharedLock; readonly locked: Locked }) {
    this.#parts = parts;
    this.#lock = lock;
    this.#locked = locked;
  }

  hit<T>(key: ObjectKey, maxBytes: number, use: UseHit<T>, maxAgeMs: number): T | undefined {
    const { key: bytes, tables: { entries, hits, policy } } = this.#parts;
    bytes.set(key);
    const { hash } = bytes;
    const entry = entries.guessResident(bytes);
    if (entry === NONE || this.#isHitting || !this.#hasRow()) return undefined;
    let found: Ready | undefined;
    let isDue = false;
    this.#isHitting = true;
    hits.begin(entry);
    try {
      found = this.#check(entry, maxBytes, maxAgeMs);
      if (found === undefined) return undefined;
      isDue = policy.hit(entry);
      return use(found.meta, found.extents);
    } finally {
      // This throws if the thread was declared dead. Then it hits no more, and its pin is taken off by others.
      if (!hits.end(entry)) this.#locked(() => this.#giveBack());
      this.#isHitting = false;
      if (isDue) this.#locked(() => policy.settle());
      if (found !== undefined) this.#publish(key.tenant, hash, found.meta.sizeBytes);
    }
  }

  /** The announced entry's object if it has the current key and may be read without a lease. */
  #check(entry: number, maxBytes: number, maxAgeMs: number): Ready | undefined {
    const { key, lifecycle, tables: { entries } } = this.#parts;
    // Whoever frees it detaches it first and then looks for announcements; a repair also frees what is resident but no
    // longer linked.
    if (entries.loadState(entry) !== STATE.resident || !entries.hasFlag(entry, FLAG.linked)) return undefined;
    if (this.#lock.isFenced) return undefined;
    if (!entries.isKeyOf(entry, key) || entries.getDouble(entry, FIELD.sizeBytes) > maxBytes) return undefined;
    // Its last lease removes a temporary object.
    if (entries.hasFlag(entry, FLAG.temporary) || lifecycle.isDue(entry)) return undefined;
    if (maxAgeMs !== Infinity && !entries.hasFlag(entry, FLAG.dirty) && this.#ageMs(entry) > maxAgeMs) return undefined;
    const generation = entries.get(entry, FIELD.generation);
    const known = this.#ready[entry % MAX_READY];
    if (known?.entry === entry && known.generation === generation) return known;
    const meta = entries.metaOf(entry);
    const found = { entry, generation, meta, extents: entries.viewsOf(entry, meta.sizeBytes) };
    this.#ready[entry % MAX_READY] = found;
    return found;
  }

  #ageMs(entry: number): number {
    const { options, tables: { entries } } = this.#parts;
    return options.clock.monotonicMs() - entries.getDouble(entry, FIELD.admittedMs);
  }

  #giveBack(): void {
    const { lifecycle, tables: { hits } } = this.#parts;
    const entry = hits.clear();
    if (entry !== NONE) lifecycle.unpin(entry, 1);
  }

  #hasRow(): boolean {
    const { hits } = this.#parts.tables;
    if (hits.hasRow || this.#hasAskedForRow) return hits.hasRow;
    this.#hasAskedForRow = true;
    return this.#locked(() => hits.claim());
  }

  #publish(tenant: string, hash: number, bytes: number): void {
    const { publish, events } = this.#parts;
    const read = { tenant, keys: 1, bytes };
    publish("l1.read.reserved", read);
    publish("l1.read.finished", read);
    events.sampleNow(hash, tenant, "read");
  }
}
