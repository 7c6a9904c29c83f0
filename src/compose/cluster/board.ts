import { SharedTable, type SharedWords, viewWords } from "../../core/shared_table.ts";
import type { TierThreadName } from "./messages.ts";

/** Milliseconds between two heartbeats of a thread. */
export const BEAT_MS = 50;

/** Words of the header and of one worker's row. */
const HEADER_WORDS = 16;
const ROW_WORDS = 16;
const READY = 0;
const TICKED = 1;
const SERVES = 2;
/** The rows of the storage thread and of the file thread, in the header. */
const TIER_THREADS_AT = 3;
const TIER_THREAD_WORDS = 3;
const TIER_THREADS: Readonly<Record<TierThreadName, number>> = { storage: 0, file: 1 };
const THREAD_BEAT = 0;
const THREAD_ID = 1;
const THREAD_OUTAGE = 2;
const HEARTBEAT = 0;
const ACTIVE = 1;
const THREAD = 2;
const TROUBLE = 3;
const LOADS = 4;

/** The outage of a thread: it has ended, or has been blocked for this many seconds (at least 1). */
export type Outage = "gone" | { readonly seconds: number };

/** The words of the storage thread or of the file thread. */
export class TierThreadWords {
  readonly #rows: SharedTable;
  readonly #name: TierThreadName;
  readonly #row: number;

  constructor(memory: SharedWords, name: TierThreadName) {
    this.#rows = new SharedTable(memory, TIER_THREADS_AT, TIER_THREAD_WORDS);
    this.#name = name;
    this.#row = TIER_THREADS[name];
  }

  /** Heartbeat of its event loop. */
  beat(): void {
    this.#rows.add(this.#row, THREAD_BEAT, 1);
  }

  /** Changes with every heartbeat. */
  get heartbeat(): number {
    return this.#rows.load(this.#row, THREAD_BEAT);
  }

  /** Sets the system's id of the thread. */
  setThreadId(id: number): void {
    this.#rows.store(this.#row, THREAD_ID, id);
  }

  /** 0 if unknown. */
  get threadId(): number {
    return this.#rows.load(this.#row, THREAD_ID);
  }

  /**
   * Set by main: the time for which the thread has been stuck, or "gone" between its end and the start of the next one;
   * undefined if it works or there is none.
   */
  setOutage(outage: Outage | undefined): void {
    this.#rows.store(this.#row, THREAD_OUTAGE, outage === "gone" ? -1 : outage?.seconds ?? 0);
  }

  get outage(): Outage | undefined {
    const word = this.#rows.load(this.#row, THREAD_OUTAGE);
    return word === 0 ? undefined : word < 0 ? "gone" : { seconds: word };
  }

  /** The outage in words; undefined while the thread works. */
  get outageText(): string | undefined {
    return this.outage === "gone" ? `the ${this.#name} thread has ended and is being started again` : this.stuckText;
  }

  /** As `outageText`, but undefined while the thread is being started again. */
  get stuckText(): string | undefined {
    const { outage } = this;
    if (outage === undefined || outage === "gone") return undefined;
    return `the ${this.#name} thread has been blocked for ${outage.seconds} s`;
  }
}

/**
 * Status words in shared memory: a header, and one row per worker for its heartbeat, active requests and the like. Only
 * the living worker writes to its row. A row belongs to a slot, so a replacement continues with the row of
 * its predecessor.
 */
export class Board {
  readonly buffer: SharedArrayBuffer;
  readonly #head: SharedWords;
  readonly #rows: SharedTable;

  /** Creates a board for a number of workers, or a view of an existing one. */
  constructor(from: number | SharedArrayBuffer) {
    this.buffer = typeof from === "number" ? new SharedArrayBuffer(4 * (HEADER_WORDS + from * ROW_WORDS)) : from;
    this.#head = viewWords(this.buffer);
    this.#rows = new SharedTable(this.#head, HEADER_WORDS, ROW_WORDS);
  }

  /** True while the server accepts traffic; written by main. */
  get isReady(): boolean {
    return this.#head.atomics.load(READY) === 1;
  }

  set isReady(ready: boolean) {
    this.#head.atomics.store(READY, ready ? 1 : 0);
  }

  /** True once any worker has listened: from then on, writes may have been acknowledged. */
  get hasServed(): boolean {
    return this.#head.atomics.load(SERVES) === 1;
  }

  /** Called by a worker before it listens. */
  serves(): void {
    this.#head.atomics.store(SERVES, 1);
  }

  /** The words of the storage thread or of the file thread. */
  tierThread(name: TierThreadName): TierThreadWords {
    return new TierThreadWords(this.#head, name);
  }

  /** Why the server is not ready on account of the storage thread or the file thread; undefined if both work. */
  get outage(): string | undefined {
    return this.tierThread("storage").outageText ?? this.tierThread("file").outageText;
  }

  /** True if this thread has to do L1's maintenance now: true for one thread in each interval of `everyMs`. */
  claimTick(monotonicMs: number, everyMs: number): boolean {
    const now = monotonicMs | 0;
    const last = this.#head.atomics.load(TICKED);
    // Wraps every 49 days; the difference of two times is still right.
    if (((now - last) | 0) < everyMs && last !== 0) return false;
    return this.#head.atomics.replace(TICKED, last, now === 0 ? 1 : now);
  }

  /** Heartbeat of a worker's event loop. */
  beat(slot: number): void {
    this.#rows.add(slot, HEARTBEAT, 1);
  }

  /** Changes with every heartbeat. */
  heartbeat(slot: number): number {
    return this.#rows.load(slot, HEARTBEAT);
  }

  /** Requests in progress in a worker. */
  setActiveRequests(slot: number, count: number): void {
    this.#rows.store(slot, ACTIVE, count);
  }

  activeRequests(slot: number): number {
    return this.#rows.load(slot, ACTIVE);
  }

  /** Loads from tiers in progress in a worker. */
  setLoadsInFlight(slot: number, count: number): void {
    this.#rows.store(slot, LOADS, count);
  }

  loadsInFlight(slot: number): number {
    return this.#rows.load(slot, LOADS);
  }

  /** Sets the system's thread id of a worker. */
  setThreadId(slot: number, id: number): void {
    this.#rows.store(slot, THREAD, id);
  }

  /** 0 if unknown. */
  threadId(slot: number): number {
    return this.#rows.load(slot, THREAD);
  }

  /** Prepares a row for another worker; the heartbeat keeps its value. */
  clear(slot: number): void {
    this.setActiveRequests(slot, 0);
    this.setThreadId(slot, 0);
    this.setTrouble(slot, false);
    this.setLoadsInFlight(slot, 0);
  }

  /** Sets whether a worker has a tier that cannot be used. */
  setTrouble(slot: number, isInTrouble: boolean): void {
    this.#rows.store(slot, TROUBLE, isInTrouble ? 1 : 0);
  }

  isInTrouble(slot: number): boolean {
    return this.#rows.load(slot, TROUBLE) === 1;
  }
}
