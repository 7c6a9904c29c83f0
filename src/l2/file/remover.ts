import type { Publish } from "../../core/publish.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { TierRemovalListener, TierRemovalReason } from "../adapter.ts";
import type { Disk } from "./disk.ts";
import type { IndexEntry } from "./index.ts";
import type { Layout } from "./layout.ts";

/** Does what follows when entries have left the index: removes their files and publishes the fact. */
export class Remover {
  readonly #tier: string;
  readonly #disk: Disk;
  readonly #layout: Layout;
  readonly #publish: Publish<EventMap>;
  readonly #onRemoved: TierRemovalListener | undefined;

  constructor(
    options: {
      readonly tier: string;
      readonly disk: Disk;
      readonly layout: Layout;
      readonly publish: Publish<EventMap>;
      readonly onRemoved: TierRemovalListener | undefined;
    },
  ) {
    this.#tier = options.tier;
    this.#disk = options.disk;
    this.#layout = options.layout;
    this.#publish = options.publish;
    this.#onRemoved = options.onRemoved;
  }

  /** Removes the entries' files; `durable` waits until they cannot come back. The fact is published even if the file system fails, for the index no longer has them. */
  async drop(
    entries: readonly IndexEntry[],
    options: { readonly reason: TierRemovalReason; readonly durable: boolean },
  ): Promise<void> {
    this.publish(entries, options.reason);
    for (const entry of entries) await this.#disk.remove(this.#layout.objectPath(entry.name));
    if (!options.durable) return;
    for (const folder of new Set(entries.map((entry) => this.#layout.folderOf(entry.name)))) {
      await this.#disk.syncFolder(folder);
    }
  }

  /** Tells the listener of each entry, and publishes one `l2.removed` per tenant among them. */
  publish(entries: readonly Pick<IndexEntry, "key" | "meta">[], reason: TierRemovalReason): void {
    for (const { key } of entries) this.#onRemoved?.(key, reason);
    const byTenant = Map.groupBy(entries, (entry) => entry.key.tenant);
    for (const [tenant, group] of byTenant) {
      const bytes = group.reduce((sum, entry) => sum + entry.meta.sizeBytes, 0);
      this.#publish("l2.removed", { tier: this.#tier, tenant, reason, keys: group.length, bytes });
    }
  }
}
