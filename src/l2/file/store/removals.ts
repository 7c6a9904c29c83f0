import type { Publish } from "../../../core/events.ts";
import type { EventMap } from "../../../events/catalogue.ts";
import type { TierRemovalListener, TierRemovalReason } from "../../adapter.ts";
import type { BlockingDisk } from "./blocking_disk.ts";
import type { Layout } from "../layout.ts";
import type { IndexEntry } from "../place.ts";

/** Options of Removals. */
export interface RemovalsOptions {
  readonly tier: string;
  readonly disk: BlockingDisk;
  readonly layout: Layout;
  readonly publish: Publish<EventMap>;
  readonly onRemoved: TierRemovalListener | undefined;
}

/** Cleans up after entries have left the index: removes their files and publishes the removal. */
export class Removals {
  readonly #options: RemovalsOptions;

  constructor(options: RemovalsOptions) {
    this.#options = options;
  }

  /** Removes the files of entries that have one. */
  removeFiles(entries: readonly IndexEntry[]): void {
    this.removeNames(entries.map(({ file }) => file).filter((file) => file !== undefined).map(({ name }) => name));
  }

  /**
   * Removes object files. A file that cannot be removed, or that reappears after a power loss, is removed at the next
   * start, because no record names it.
   */
  removeNames(names: readonly string[]): void {
    const { disk, layout, publish, tier } = this.#options;
    for (const name of names) {
      try {
        disk.remove(layout.objectPath(name));
      } catch (error) {
        publish("l2.cleanup_failed", { tier, error: error instanceof Error ? error.message : String(error) });
      }
    }
  }

  /** Calls the listener for each entry. */
  tell(entries: readonly Pick<IndexEntry, "key">[], reason: TierRemovalReason): void {
    for (const { key } of entries) this.#options.onRemoved?.(key, reason);
  }

  /** Calls the listener for each entry and publishes one `l2.removed` per tenant. */
  publish(entries: readonly Pick<IndexEntry, "key" | "meta">[], reason: TierRemovalReason): void {
    const { tier, publish } = this.#options;
    this.tell(entries, reason);
    const byTenant = Map.groupBy(entries, (entry) => entry.key.tenant);
    for (const [tenant, group] of byTenant) {
      const bytes = group.reduce((sum, entry) => sum + entry.meta.sizeBytes, 0);
      publish("l2.removed", { tier, tenant, reason, keys: group.length, bytes });
    }
  }
}
