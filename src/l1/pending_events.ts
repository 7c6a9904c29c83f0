import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { RemovalReason } from "./l1.ts";

/** Events of L1 that carry a tenant, a number of objects and their bytes. */
type KeysEvent =
  | "l1.read.reserved"
  | "l1.read.finished"
  | "l1.write.reserved"
  | "l1.write.finished"
  | "l1.write_finished_and_read_reserved"
  | "l1.write.aborted"
  | "l1.quota.refused"
  | "l1.hold.taken"
  | "l1.hold.released"
  | "l1.hold.expired";

interface Row {
  readonly event: KeysEvent | "l1.removed" | "l1.lease.expired";
  readonly tenant: string;
  /** Only for l1.removed. */
  readonly reason: RemovalReason;
  /** Only for l1.lease.expired. */
  readonly kind: "read" | "write";
  keys: number;
  bytes: number;
}

/** One in this many objects, by the hash of its key, is sampled individually, to measure lifetimes. */
const SAMPLED = 128;

type Sample = EventMap["l1.key.sampled"];

/**
 * Collects the events of one call while the lock is held, and publishes them afterwards, in order. Consecutive events
 * that differ only in numbers become one.
 */
export class PendingEvents {
  readonly #publish: Publish<EventMap>;
  readonly #monotonicMs: () => number;
  #rows: Row[] = [];
  #samples: Sample[] = [];

  /** `publish` must not throw. */
  constructor(publish: Publish<EventMap>, monotonicMs: () => number) {
    this.#publish = publish;
    this.#monotonicMs = monotonicMs;
  }

  /** `bytes`: total of all `keys`. */
  add(event: KeysEvent, tenant: string, bytes: number, keys: number = 1): void {
    this.#add({ event, tenant, reason: "deleted", kind: "read", keys, bytes });
  }

  removed(tenant: string, reason: RemovalReason, bytes: number): void {
    this.#add({ event: "l1.removed", tenant, reason, kind: "read", keys: 1, bytes });
  }

  expired(kind: "read" | "write", keys: number): void {
    this.#add({ event: "l1.lease.expired", tenant: "", reason: "deleted", kind, keys, bytes: 0 });
  }

  /** Records an action on an object if the hash of its key is in the sample. */
  sample(hash: number, tenant: string, action: Sample["action"], reason: Sample["reason"] = ""): void {
    if ((hash & (SAMPLED - 1)) !== 0) return;
    this.#samples.push(this.#sampleOf(hash, tenant, { action, reason }));
  }

  /** Like `sample`, and publishes it. */
  sampleNow(hash: number, tenant: string, action: Sample["action"]): void {
    if ((hash & (SAMPLED - 1)) !== 0) return;
    this.#publish("l1.key.sampled", this.#sampleOf(hash, tenant, { action, reason: "" }));
  }

  /** Call it only without the lock: a subscriber may call L1. */
  publish(): void {
    if (this.#rows.length === 0) return;
    const rows = this.#rows;
    const samples = this.#samples;
    this.#rows = [];
    this.#samples = [];
    for (const row of rows) this.#publishRow(row);
    for (const sample of samples) this.#publish("l1.key.sampled", sample);
  }

  #sampleOf(hash: number, tenant: string, what: Pick<Sample, "action" | "reason">): Sample {
    return { tenant, ...what, keyHash: String(hash >>> 0), atMs: String(this.#monotonicMs()) };
  }

  #add(row: Row): void {
    const last = this.#rows.at(-1);
    const isSame = last?.event === row.event && last.tenant === row.tenant && last.reason === row.reason &&
      last.kind === row.kind;
    if (!isSame) {
      this.#rows.push(row);
      return;
    }
    last.keys += row.keys;
    last.bytes += row.bytes;
  }

  #publishRow({ event, tenant, reason, kind, keys, bytes }: Row): void {
    if (event === "l1.removed") this.#publish(event, { tenant, reason, keys, bytes });
    else if (event === "l1.lease.expired") this.#publish(event, { kind, keys });
    else this.#publish(event, { tenant, keys, bytes });
  }
}

/** Drops exceptions of `publish`, which promises not to throw: a caller gets its lease even if publishing fails. */
export function quietPublish(publish: Publish<EventMap>): Publish<EventMap> {
  return (name, fields) => {
    try {
      publish(name, fields);
    } catch {
      // The published operation has already happened; later events are still published.
    }
  };
}
