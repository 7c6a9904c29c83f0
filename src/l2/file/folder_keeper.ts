import { causeText, VitrineError } from "../../core/errors.ts";
import type { Publish } from "../../core/events.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { ListPage, ListQuery, TierUsage } from "../adapter.ts";
import { stateReport } from "../reports.ts";
import type { Change, IndexRow, StoreCalls } from "./folder_calls.ts";
import type { FileStore } from "./store/file_store.ts";
import { damageText, isDamage } from "./store/open_store.ts";
import type { Recovery } from "./store/recover.ts";
import type { ObjectKey } from "../../core/object.ts";

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
 * for a while. An index that turns out to be damaged is built again from the segments.
 */
export class FolderKeeper implements StoreCalls {
  readonly recovery: Recovery;
  readonly #options: FolderKeeperOptions;
  #store: FileStore | undefined;
  #lost = "";
  #reported: string | undefined;
  readonly #reportState: (trouble: string | undefined) => void;
  #closed = false;
  /** True once an object was looked up: by a client or the scrubber, so that the details of events are taken. */
  #isUsed = false;
  /** When the index was last built again, by `performance.now()`. */
  #rebuiltMs = Number.NEGATIVE_INFINITY;
  /** The store whose index was damaged. */
  #rebuilt: FileStore | undefined;

  constructor(options: FolderKeeperOptions) {
    this.#options = options;
    this.#reportState = stateReport(options);
    this.#store = options.open(true);
    this.recovery = this.#store.recovery;
  }

  /** The reason why the folder is unusable, as last reported; undefined while it is usable. */
  get trouble(): string | undefined {
    return this.#reported;
  }

  find(key: ObjectKey, use: boolean): Promise<IndexRow | undefined> {
    this.#isUsed = true;
    return this.#run((store) => store.find(key, use));
  }

  has(keys: readonly ObjectKey[]): Promise<readonly boolean[]> {
    this.#isUsed = true;
    return this.#run((store) => store.has(keys));
  }

  change(change: Change): Promise<boolean> {
    // The file of a large object is removed when its change fails, so that it cannot be tried again.
    return this.#run((store) => store.change(change), { repeats: change.kind !== "file" });
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
    return this.#run((store) => store.clear(tenant, onInvisible), { repeats: false });
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
    this.#reportDamage();
    this.#report(this.#store === undefined ? this.#lost : this.#store.trouble);
    try {
      this.#store?.tidy();
    } catch (error) {
      if (isDamage(error) && this.#rebuild(error)) return;
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

  /** `repeats`: the call may be made again if the index was damaged (default). */
  async #run<T>(call: (store: FileStore) => Promise<T>, { repeats = true } = {}): Promise<T> {
    const store = this.#store;
    if (store === undefined) throw this.#failure();
    try {
      return await call(store);
    } catch (error) {
      if (store === this.#store && !this.#closed) {
        if (isDamage(error)) {
          if (!this.#rebuild(error)) throw error;
        } else {
          const { lost } = store;
          if (lost === undefined) throw error;
          this.look();
        }
      }
      if (this.#rebuilt === store && this.#store !== undefined && repeats) return await call(this.#store);
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

  #leave(why: string, { keepsIndex = true } = {}): void {
    const store = this.#store;
    this.#store = undefined;
    this.#lost = why;
    if (keepsIndex) store?.abandon(why);
    else store?.abandonIndex(why);
    this.#report(why);
  }

  /** Builds the index again; returns false if that was done a moment ago and has not helped. */
  #rebuild(error: unknown): boolean {
    const nowMs = performance.now();
    if (this.#closed || nowMs - this.#rebuiltMs < REBUILD_PAUSE_MS) return false;
    this.#rebuiltMs = nowMs;
    this.#rebuilt = this.#store;
    this.#leave(damageText(error), { keepsIndex: false });
    this.#reopen();
    this.#report(this.#store === undefined ? this.#lost : this.#store.trouble);
    return true;
  }

  /**
   * Reports that the index was built again at the start; not before the folder is used, when its cause would be lost.
   */
  #reportDamage(): void {
    const store = this.#store;
    if (store?.indexDamage === undefined || !this.#isUsed) return;
    this.#report(store.indexDamage);
    store.indexDamage = undefined;
  }

  #report(trouble: string | undefined): void {
    this.#reportState(trouble);
    if (trouble !== this.#reported) this.#options.onTrouble?.(trouble);
    this.#reported = trouble;
  }
}

/** An index is built again at most this often: doing so reads all segments. */
const REBUILD_PAUSE_MS = 10_000;
