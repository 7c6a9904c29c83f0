import { clearInterval, setInterval } from "node:timers";
import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { Publish } from "../../core/publish.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { L2Adapter, L2Load, ListPage, ListQuery, StoreSource, TierUsage } from "../adapter.ts";

/** An adapter that can become useless, and knows it. */
export interface LosableAdapter extends L2Adapter {
  /** Why it is of no use any more, or undefined. */
  readonly lost: string | undefined;
  readonly trouble: string | undefined;
  /** What is to be done now and then. */
  upkeep(): Promise<void>;
}

/** Settings of a ReopeningAdapter. */
export interface ReopeningOptions {
  readonly name: string;
  readonly publish: Publish<EventMap>;
  /** Opens the adapter again after it was lost. */
  readonly open: () => Promise<LosableAdapter>;
  /** Calls back at an interval until the function it returns is called (default: the runtime's timer). */
  readonly every?: (ms: number, callback: () => void) => () => void;
}

const LOOK_MS = 1000;

/**
 * A tier over a folder that others may take away and bring back. Once a second, and when a call fails, it looks whether the adapter is still of use; if not, it closes
 * it, fails calls with the reason, and tries to open it again. Says both with `l2.state.changed`, also for a folder that cannot be written for a while.
 */
export class ReopeningAdapter implements L2Adapter {
  readonly name: string;
  readonly #options: ReopeningOptions;
  readonly #stop: () => void;
  #adapter: LosableAdapter | undefined;
  #lost = "";
  #told: string | undefined;
  #looking: Promise<void> | undefined;
  #opening: Promise<void> | undefined;
  #closed = false;

  constructor(first: LosableAdapter, options: ReopeningOptions) {
    this.name = options.name;
    this.#options = options;
    this.#adapter = first;
    this.#stop = (options.every ?? every)(LOOK_MS, () => void this.look());
  }

  get trouble(): string | undefined {
    return this.#told;
  }

  lookup(key: ObjectKey): Promise<ObjectMeta | undefined> {
    return this.#run((adapter) => adapter.lookup(key));
  }

  load(key: ObjectKey, range?: { readonly start: number; readonly end: number }): Promise<L2Load | undefined> {
    return this.#run((adapter) => adapter.load(key, range));
  }

  store(key: ObjectKey, source: StoreSource): Promise<ObjectMeta> {
    return this.#run((adapter) => adapter.store(key, source));
  }

  delete(key: ObjectKey): Promise<boolean> {
    return this.#run((adapter) => adapter.delete(key));
  }

  clear(tenant?: string, onInvisible?: () => void): Promise<number> {
    return this.#run((adapter) => adapter.clear(tenant, onInvisible));
  }

  list(query: ListQuery): Promise<ListPage> {
    return this.#run((adapter) => adapter.list(query));
  }

  usage(): Promise<TierUsage> {
    return this.#run((adapter) => adapter.usage());
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stop();
    await this.#looking;
    await this.#adapter?.close();
  }

  /** Looks after the adapter: leaves it if it is lost, opens it again if there is none, else lets it do its upkeep. Never throws. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => this.#looking = undefined);
    return this.#looking;
  }

  async #look(): Promise<void> {
    if (this.#closed) return;
    const lost = this.#adapter?.lost;
    if (lost !== undefined) this.#leave(lost);
    if (this.#adapter === undefined) {
      this.#opening = this.#reopen();
      await this.#opening;
      this.#opening = undefined;
    }
    this.#tell(this.#adapter === undefined ? this.#lost : this.#adapter.trouble);
    // What it cannot do now it does later; a failure that lasts shows in the calls of clients.
    await this.#adapter?.upkeep().catch(() => undefined);
  }

  async #reopen(): Promise<void> {
    try {
      this.#adapter = await this.#options.open();
    } catch (error) {
      this.#lost = error instanceof Error ? error.message : String(error);
    }
  }

  async #run<T>(call: (adapter: LosableAdapter) => Promise<T>): Promise<T> {
    if (this.#adapter === undefined) await this.#opening;
    const adapter = this.#adapter;
    if (adapter === undefined) {
      throw new VitrineError("tier_failed", `Using a tier: ${this.name}: ${this.#lost}`, {
        details: { tier: this.name },
      });
    }
    try {
      return await call(adapter);
    } catch (error) {
      const lost = this.#closed ? undefined : adapter.lost;
      if (lost !== undefined && adapter === this.#adapter) {
        this.#leave(lost);
        this.#tell(lost);
        void this.look();
      }
      if (adapter === this.#adapter || !(error instanceof VitrineError) || error.code !== "tier_failed") throw error;
      throw new VitrineError("tier_failed", `Using a tier: ${this.name}: ${this.#lost}`, { cause: error });
    }
  }

  #leave(why: string): void {
    const adapter = this.#adapter;
    this.#adapter = undefined;
    this.#lost = why;
    // Its calls end by themselves; nobody waits for them.
    void adapter?.close().catch(() => undefined);
  }

  #tell(trouble: string | undefined): void {
    if ((trouble === undefined) !== (this.#told === undefined)) {
      const state = trouble === undefined ? "usable" : "unusable";
      this.#options.publish("l2.state.changed", { tier: this.name, state, cause: trouble ?? "" });
    }
    this.#told = trouble;
  }
}

function every(ms: number, callback: () => void): () => void {
  const timer = setInterval(callback, ms);
  timer.unref();
  return () => clearInterval(timer);
}
