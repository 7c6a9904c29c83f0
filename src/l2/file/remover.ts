import type { Publish } from "../../core/publish.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { TierRemovalListener, TierRemovalReason } from "../adapter.ts";
import type { Disk } from "./disk.ts";
import type { IndexEntry } from "./index.ts";
import type { Layout } from "./layout.ts";

/** Files removed side by side. */
const CONCURRENCY = 8;

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
    if (entries.length === 0) return;
    this.publish(entries, options.reason);
    await this.removeFiles(entries);
    if (options.durable) await this.sync(new Set(entries.map((entry) => this.#layout.folderOf(entry.name))));
  }

  /** Removes as many of the entries' files as can be removed, then throws the first failure. */
  async removeFiles(entries: readonly Pick<IndexEntry, "name">[]): Promise<void> {
    const left = entries.values();
    const failures: unknown[] = [];
    const work = async (): Promise<void> => {
      for (const { name } of left) {
        await this.#disk.remove(this.#layout.objectPath(name)).catch((error: unknown) => void failures.push(error));
      }
    };
    await Promise.all(Array.from({ length: Math.min(CONCURRENCY, entries.length) }, work));
    if (failures.length > 0) throw failures[0];
  }

  /** Makes removals in these folders durable. */
  async sync(folders: Iterable<string>): Promise<void> {
    for (const folder of folders) await this.#disk.syncFolder(folder);
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
