import type { ObjectKey } from "../../core/object.ts";
import { viewWords } from "../../core/shared_table.ts";
import { Stripes } from "./key_lock.ts";
import { HEAD, planSharedKeys, type SharedKeysMemory } from "./memory.ts";
import { PrefetchJobs } from "./prefetch_jobs.ts";
import { RemovalHistory } from "./removal_history.ts";
import { StaleTable } from "./stale_keys.ts";

/**
 * One thread's view of the state that all storage managers over one L1 share besides it: words in memory, no messages.
 * docs/STORAGE.md has the rules.
 */
export class SharedKeys {
  /** True if other threads may take part. */
  readonly isShared: boolean;
  /** This thread's worker id in L1. No other thread ever has it. */
  readonly workerId: number;
  /** Names this server to other servers. */
  readonly serverId: string;
  readonly stripes: Stripes;
  readonly stale: StaleTable;
  readonly versions: VersionSource;
  readonly history: RemovalHistory;
  readonly jobs: PrefetchJobs;
  readonly #words: Int32Array;

  constructor(memory: SharedKeysMemory, workerId: number) {
    const { options: { hashSeed, serverId } } = memory;
    const layout = planSharedKeys(memory.options);
    const view = viewWords(memory.words);
    this.isShared = memory.words instanceof SharedArrayBuffer;
    this.workerId = workerId;
    this.serverId = serverId;
    this.stripes = new Stripes(view, { layout, hashSeed, workerId });
    this.stale = new StaleTable(view, { layout, hashSeed });
    this.versions = new VersionSource(view.words);
    this.history = new RemovalHistory(memory);
    this.jobs = new PrefetchJobs(view, { layout, workerId });
    this.#words = view.words;
  }

  /**
   * Asks the storage thread to look for dirty objects. True if a wake must be sent, because none was since it last
   * looked.
   */
  noteWake(): boolean {
    return Atomics.exchange(this.#words, HEAD.woken, 1) === 0;
  }

  /** For the storage thread: must be called before it looks for dirty objects. */
  heardWake(): void {
    Atomics.store(this.#words, HEAD.woken, 0);
  }

  /** True if writes wait for room. The next one then waits behind them. */
  get isRoomAwaited(): boolean {
    return Atomics.load(this.#words, HEAD.roomWaiters) > 0;
  }

  /** For the owner of the tiers: sets the number of writes that wait for room. */
  setRoomWaiters(count: number): void {
    Atomics.store(this.#words, HEAD.roomWaiters, count);
  }

  /** True if a key that the removal history does not know is certainly in no tier. */
  get knowsAllKeys(): boolean {
    return Atomics.load(this.#words, HEAD.knowsAllKeys) === 1;
  }

  set knowsAllKeys(knows: boolean) {
    Atomics.store(this.#words, HEAD.knowsAllKeys, knows ? 1 : 0);
  }

  /**
   * True if the key has certainly never been stored, nor been in a tier when the server started. No level has it then.
   */
  isNew(key: ObjectKey): boolean {
    return this.knowsAllKeys && !this.history.knows(key);
  }
}

/** For the main thread: ends the clear of a thread that is gone. */
export function endClearing(memory: SharedKeysMemory, workerId: number): void {
  Atomics.compareExchange(new Int32Array(memory.words), HEAD.clearing, workerId, 0);
}

/**
 * Makes versions for ObjectMeta.version: milliseconds * 1024 + a sequence number. They grow strictly over all threads,
 * even while a clock is stopped or steps back.
 */
class VersionSource {
  readonly #words: BigInt64Array;

  constructor(words: Int32Array) {
    this.#words = new BigInt64Array(words.buffer, 0, HEAD.words / 2);
  }

  next(nowMs: number): number {
    const byClock = BigInt(Math.floor(nowMs) * 1024);
    const at = HEAD.version >>> 1;
    for (let last = Atomics.load(this.#words, at);;) {
      const version = byClock > last ? byClock : last + 1n;
      const found = Atomics.compareExchange(this.#words, at, last, version);
      if (found === last) return Number(version);
      last = found;
    }
  }
}
