import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import { GhostIndex } from "./ghost_index.ts";
import { HEAD, planSharedKeys, type SharedKeysMemory } from "./memory.ts";
import { Seats } from "./seats.ts";
import { StaleTable } from "./stale_table.ts";
import { Stripes } from "./stripes.ts";
import { VersionSource } from "./version_source.ts";
import { WordLock } from "./word_lock.ts";

/** One thread's part in the shared keys. */
export interface Seat {
  /** 0 and up, below the number of places; free for a replacement once its thread was released (releaseSeat). */
  readonly place: number;
  /** The thread's holder number in L1: 1 or more, never given twice. */
  readonly holder: number;
}

/**
 * One thread's view of what all storage managers over one L1 share besides it: words in memory, no messages.
 * docs/STORAGE.md has the rules.
 */
export class SharedKeys {
  /** Whether other threads may take part. */
  readonly isShared: boolean;
  readonly stripes: Stripes;
  readonly stale: StaleTable;
  readonly versions: VersionSource;
  readonly ghosts: GhostIndex;
  readonly #words: Int32Array;
  readonly #seats: Seats;
  readonly #seat: Seat;

  /**
   * Takes the seat. `replaces`: who may have it and is dead, although perhaps not quite (default: nobody). Throws
   * RangeError if somebody else has it.
   */
  constructor(memory: SharedKeysMemory, seat: Seat, replaces: (other: number) => boolean = () => false) {
    const { place, holder } = seat;
    const { options: { hashSeed } } = memory;
    const layout = planSharedKeys(memory.options);
    const words = new Int32Array(memory.words);
    const lock = new WordLock(words, HEAD.lock, holder);
    const seats = new Seats(words, layout);
    seats.take(place, holder, replaces);
    this.isShared = memory.words instanceof SharedArrayBuffer;
    this.stripes = new Stripes(words, { layout, seats, hashSeed, place, holder });
    this.stale = new StaleTable(words, { lock, layout, hashSeed });
    this.versions = new VersionSource(words, lock);
    this.ghosts = new GhostIndex(memory);
    this.#words = words;
    this.#seats = seats;
    this.#seat = seat;
  }

  /** This thread's holder number in L1: no other thread ever has it. */
  get holder(): number {
    return this.#seat.holder;
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

  /**
   * Throws shutting_down if this thread was declared dead (releaseSeat) although it still runs: what it held is others'
   * by now.
   */
  assertSeated(): void {
    const { place, holder } = this.#seat;
    if (this.#seats.holderAt(place) === holder) return;
    throw new VitrineError("shutting_down", `change a tier as a thread that was declared dead: holder ${holder}`);
  }
}
