import { causeText, VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { Publish } from "../../core/events.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { ListPage, ListQuery, TierUsage } from "../adapter.ts";
import type { FileStore } from "./store/file_store.ts";
import type { IndexRow } from "./place.ts";
import type { Recovery } from "./store/recover.ts";
import type { Change, StoreCalls } from "./store_calls.ts";

/** Options of a FolderKeeper. */
export interface FolderKeeperOptions {
  readonly name: string;
  readonly publish: Publish<EventMap>;
  /**
   * Called with the reason when the folder becomes unusable, and with undefined when it is usable again. Default: none.
   */
  readonly onTrouble?: ((trouble: string | undefined) => void) | undefined;
  /**
   * Opens the folder. `mayMake` is true only at the start: a folder that disappears from a running server may be on a
   * file system that is mounted again later. Throws tier_failed.
   */
  readonly open: (mayMake: boolean) => FileStore;
}

/**
 * Keeps a folder open that may be removed and restored from outside. Periodically, and when a call fails, it checks
 * whether the folder is still the one that was opened. If not, it abandons the folder, fails calls with the reason, and
 * tries to open it again. It publishes both changes as `l2.state.changed`, also if the folder is merely not writable
 * for a while.
 */
export class FolderKeeper implements StoreCalls {
  readonly recovery: Recovery;
  readonly #options: FolderKeeperOptions;
  #store: FileStore | undefined;
  #lost = "";
  #told: string | undefined;
  #closed = false;

  constructor(options: FolderKeeperOptions) {
    this.#options = options;
    this.#store = options.open(true);
    this.recovery = this.#store.recovery;
  }

  /** The reason why the folder is unusable, as last reported; undefined while it is usable. */
  get trouble(): string | undefined {
    return this.#told;
  }

  find(key: ObjectKey, use: boolean): Promise<IndexRow | undefined> {
    return this.#run((store) => store.find(key, use));
  }

  change(change: Change): Promise<boolean> {
    return this.#run((store) => store.change(change));
  }

  damaged(row: IndexRow): Promise<boolean> {
    return this.change({ kind: "damaged", row });
  }

  hold(bytes: number, heldBytes: number): Promise<number> {
    return this.#run((store) => store.hold(bytes, heldBytes));
  }

  release(bytes: number): void {
    this.#store?.release(bytes);
  }

  relieve(bytes: number): Promise<boolean> {
    return this.#run((store) => store.relieve(bytes));
  }

  clear(tenant: string | undefined, onInvisible?: () => void): Promise<number> {
    return this.#run((store) => store.clear(tenant, onInvisible));
  }

  list(query: ListQuery): Promise<ListPage> {
    return this.#run((store) => store.list(query));
  }

  keys(after: number, limit: number): Promise<{ readonly keys: readonly ObjectKey[]; readonly last: number }> {
    return this.#run((store) => store.keys(after, limit));
  }

  /** As FileStore.totals; undefined while the folder is lost. */
  get totals(): FileStore["totals"] | undefined {
    return this.#store?.totals;
  }

  usage(): Promise<TierUsage> {
    return this.#run((store) => store.usage());
  }

  /**
   * Checks the folder: abandons it if it is lost, reopens it if it was lost before, and lets it tidy up. Call it about
   * twice a second. Never throws.
   */
  look(): void {
    if (this.#closed) return;
    const lost = this.#store?.lost;
    if (lost !== undefined) this.#leave(lost);
    if (this.#store === undefined) this.#reopen();
    this.#tell(this.#store === undefined ? this.#lost : this.#store.trouble);
    try {
      this.#store?.tidy();
    } catch (error) {
      // The work is retried at the next look. A lasting failure also fails the calls of clients; a failure that does
      // not affect calls is visible only in this event.
      this.#options.publish("l2.cleanup_failed", { tier: this.#options.name, error: causeText(error) });
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.look();
    this.#closed = true;
    await this.#store?.close();
  }

  async #run<T>(call: (store: FileStore) => Promise<T>): Promise<T> {
    const store = this.#store;
    if (store === undefined) throw this.#failure();
    try {
      return await call(store);
    } catch (error) {
      if (store === this.#store && !this.#closed) {
        const { lost } = store;
        if (lost === undefined) throw error;
        this.look();
      }
      if (!(error instanceof VitrineError) || error.code !== "tier_failed") throw error;
      throw this.#failure(error);
    }
  }

  #failure(cause?: unknown): VitrineError {
    const { name } = this.#options;
    return new VitrineError("tier_failed", `use tier: ${name}: ${this.#lost}`, { cause, details: { tier: name } });
  }

  #reopen(): void {
    try {
      this.#store = this.#options.open(false);
    } catch (error) {
      this.#lost = causeText(error);
    }
  }

  #leave(why: string): void {
    const store = this.#store;
    this.#store = undefined;
    this.#lost = why;
    store?.abandon(why);
    this.#tell(why);
  }

  #tell(trouble: string | undefined): void {
    if ((trouble === undefined) !== (this.#told === undefined)) {
      const state = trouble === undefined ? "usable" : "unusable";
      this.#options.publish("l2.state.changed", { tier: this.#options.name, state, cause: trouble ?? "" });
    }
    if (trouble !== this.#told) this.#options.onTrouble?.(trouble);
    this.#told = trouble;
  }
}
