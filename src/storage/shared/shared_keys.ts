import type { ObjectKey } from "../../core/key.ts";
import { GhostIndex } from "./ghost_index.ts";
import { HEAD, planSharedKeys, type SharedKeysMemory } from "./memory.ts";
import { StaleTable } from "./stale_table.ts";
import { Stripes } from "./stripes.ts";

/**
 * One thread's view of what all storage managers over one L1 share besides it: words in memory, no messages.
 * docs/STORAGE.md has the rules.
 */
export class SharedKeys {
  /** Whether other threads may take part. */
  readonly isShared: boolean;
  /** This thread's holder number in L1: no other thread ever has it. */
  readonly holder: number;
  readonly stripes: Stripes;
  readonly stale: StaleTable;
  readonly versions: VersionSource;
  readonly ghosts: GhostIndex;
  readonly #words: Int32Array;

  constructor(memory: SharedKeysMemory, holder: number) {
    const { options: { hashSeed } } = memory;
    const layout = planSharedKeys(memory.options);
    const words = new Int32Array(memory.words);
    this.isShared = memory.words instanceof SharedArrayBuffer;
    this.holder = holder;
    this.stripes = new Stripes(words, { layout, hashSeed, holder });
    this.stale = new StaleTable(words, { layout, hashSeed });
    this.versions = new VersionSource(words);
    this.ghosts = new GhostIndex(memory);
    this.#words = words;
  }

  /**
   * Notes that the thread that stores is to look; true if it has to be told, because nobody has since it looked last.
   */
  noteWake(): boolean {
    return Atomics.exchange(this.#words, HEAD.woken, 1) === 0;
  }

  /** For the thread that stores: to be called before it looks. */
  heardWake(): void {
    Atomics.store(this.#words, HEAD.woken, 0);
  }

  /** True if writes wait for room: then the next one waits behind them. */
  get isRoomAwaited(): boolean {
    return Atomics.load(this.#words, HEAD.roomWaiters) > 0;
  }

  /** For the owner of the tiers. */
  noteRoomWaiters(count: number): void {
    Atomics.store(this.#words, HEAD.roomWaiters, count);
  }

  /** Whether a key that the ghost index does not know is certainly in no tier. */
  get knowsAllKeys(): boolean {
    return Atomics.load(this.#words, HEAD.knowsAllKeys) === 1;
  }

  set knowsAllKeys(knows: boolean) {
    Atomics.store(this.#words, HEAD.knowsAllKeys, knows ? 1 : 0);
  }

  /**
   * Whether the key has certainly never been stored, nor been in a tier when the server started: then no level has it.
   */
  isNew(key: ObjectKey): boolean {
    return this.knowsAllKeys && !this.ghosts.knows(key);
  }
}

/** For main: ends what a thread cleared that is gone. */
export function endClearing(memory: SharedKeysMemory, holder: number): void {
  Atomics.compareExchange(new Int32Array(memory.words), HEAD.clearing, holder, 0);
}

/**
 * Makes versions for ObjectMeta.version: milliseconds * 1024 + a sequence number; grows strictly over all threads, also
 * while a clock stands still or steps back.
 */
export class VersionSource {
  readonly #words: BigInt64Array;

  constructor(words: Int32Array) {
    this.#words = new BigInt64Array(words.buffer, 0, HEAD.words / 2);
  }

  next(nowMs: number): number {
    const byClock = BigInt(Math.floor(nowMs)) * 1024n;
    const at = HEAD.version >>> 1;
    for (let last = Atomics.load(this.#words, at);;) {
      const version = byClock > last ? byClock : last + 1n;
      const found = Atomics.compareExchange(this.#words, at, last, version);
      if (found === last) return Number(version);
      last = found;
    }
  }
}
