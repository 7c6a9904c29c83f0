import type { Publish } from "../core/publish.ts";
import type { EventMap } from "../events/catalogue.ts";

/** The events of L1 that say how many objects of which tenant, and their bytes. */
type TallyEvent =
  | "l1.read.reserved"
  | "l1.read.finished"
  | "l1.write.reserved"
  | "l1.write.finished"
  | "l1.write_finished_and_read_reserved"
  | "l1.write.aborted";

/** Adds up what one call did while the lock is held, and publishes it afterwards: one event per run of the same event and tenant. */
export class KeyTally {
  readonly #publish: Publish<EventMap>;
  readonly #rows: { readonly event: TallyEvent; readonly tenant: string; keys: number; bytes: number }[] = [];

  constructor(publish: Publish<EventMap>) {
    this.#publish = publish;
  }

  add(event: TallyEvent, tenant: string, bytes: number, keys: number = 1): void {
    const last = this.#rows.at(-1);
    if (last?.event === event && last.tenant === tenant) {
      last.keys += keys;
      last.bytes += bytes;
    } else this.#rows.push({ event, tenant, keys, bytes });
  }

  publish(): void {
    if (this.#rows.length === 0) return;
    for (const { event, tenant, keys, bytes } of this.#rows) this.#publish(event, { tenant, keys, bytes });
    this.#rows.length = 0;
  }
}
