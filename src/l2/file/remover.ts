import type { Publish } from "../../core/publish.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { Disk } from "./disk.ts";
import type { IndexEntry } from "./index.ts";
import type { Layout } from "./layout.ts";

/** Why an object left a tier. */
export type RemovalReason = EventMap["l2.removed"]["reason"];

/** Does what follows when entries have left the index: removes their files and publishes the fact. */
export class Remover {
  readonly #tier: string;
  readonly #disk: Disk;
  readonly #layout: Layout;
  readonly #publish: Publish<EventMap>;

  constructor(
    options: {
      readonly tier: string;
      readonly disk: Disk;
      readonly layout: Layout;
      readonly publish: Publish<EventMap>;
    },
  ) {
    this.#tier = options.tier;
    this.#disk = options.disk;
    this.#layout = options.layout;
    this.#publish = options.publish;
  }

  /** Removes the entries' files; `durable` waits until they cannot come back. The fact is published even if the file system fails, for the index no longer has them. */
  async drop(
    entries: readonly IndexEntry[],
    options: { readonly reason: RemovalReason; readonly durable: boolean },
  ): Promise<void> {
    this.publish(entries, options.reason);
    for (const entry of entries) await this.#disk.remove(this.#layout.objectPath(entry.name));
    if (!options.durable) return;
    for (const folder of new Set(entries.map((entry) => this.#layout.folderOf(entry.name)))) {
      await this.#disk.syncFolder(folder);
    }
  }

  /** Publishes one `l2.removed` per tenant among the entries. */
  publish(entries: readonly Pick<IndexEntry, "key" | "meta">[], reason: RemovalReason): void {
    const byTenant = Map.groupBy(entries, (entry) => entry.key.tenant);
    for (const [tenant, group] of byTenant) {
      const bytes = group.reduce((sum, entry) => sum + entry.meta.sizeBytes, 0);
      this.#publish("l2.removed", { tier: this.#tier, tenant, reason, keys: group.length, bytes });
    }
  }
}
