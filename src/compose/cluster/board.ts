/** Words of the header and of one worker's row. */
const HEADER_WORDS = 8;
const ROW_WORDS = 16;
const READY = 0;
const TICKED = 1;
const SERVES = 2;
const STORAGE_BEAT = 3;
const STORAGE_THREAD = 4;
const STORAGE_OUTAGE = 5;
const HEARTBEAT = 0;
const ACTIVE = 1;
const THREAD = 2;
const TROUBLE = 3;
const LOADS = 4;

/** The outage of the storage thread: it has ended, or has been blocked for this many seconds (at least 1). */
export type StorageOutage = "gone" | { readonly seconds: number };

/**
 * Status words in shared memory: a header, and one row per worker for its heartbeat, active requests and the like. Only
 * the living worker writes to its row. A row belongs to a worker's place, so a replacement continues with the row of
 * its predecessor.
 */
export class Board {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  /** Creates a board for a number of workers, or a view of an existing one. */
  constructor(from: number | SharedArrayBuffer) {
    this.buffer = typeof from === "number" ? new SharedArrayBuffer(4 * (HEADER_WORDS + from * ROW_WORDS)) : from;
    this.#words = new Int32Array(this.buffer);
  }

  /** True while the server accepts traffic; written by main. */
  get isReady(): boolean {
    return Atomics.load(this.#words, READY) === 1;
  }

  set isReady(ready: boolean) {
    Atomics.store(this.#words, READY, ready ? 1 : 0);
  }

  /** True once any worker has listened: from then on, writes may have been acknowledged. */
  get hasServed(): boolean {
    return Atomics.load(this.#words, SERVES) === 1;
  }

  /** Called by a worker before it listens. */
  serves(): void {
    Atomics.store(this.#words, SERVES, 1);
  }

  /** Heartbeat of the storage thread's event loop. */
  beatStorage(): void {
    Atomics.add(this.#words, STORAGE_BEAT, 1);
  }

  /** Changes with every heartbeat of the storage thread. */
  get storageBeat(): number {
    return Atomics.load(this.#words, STORAGE_BEAT);
  }

  /** Sets the system's thread id of the storage thread. */
  setStorageThreadId(id: number): void {
    Atomics.store(this.#words, STORAGE_THREAD, id);
  }

  /** 0 if unknown. */
  get storageThreadId(): number {
    return Atomics.load(this.#words, STORAGE_THREAD);
  }

  /**
   * Set by main: the time for which the storage thread has been stuck, or "gone" between its end and the start of the
   * next one; undefined if it works or there is none.
   */
  setStorageOutage(outage: StorageOutage | undefined): void {
    Atomics.store(this.#words, STORAGE_OUTAGE, outage === "gone" ? -1 : outage?.seconds ?? 0);
  }

  get storageOutage(): StorageOutage | undefined {
    const word = Atomics.load(this.#words, STORAGE_OUTAGE);
    return word === 0 ? undefined : word < 0 ? "gone" : { seconds: word };
  }

  /** True if this thread has to do L1's maintenance now: true for one thread in each interval of `everyMs`. */
  claimTick(monotonicMs: number, everyMs: number): boolean {
    const now = monotonicMs | 0;
    const last = Atomics.load(this.#words, TICKED);
    // Wraps every 49 days; the difference of two times is still right.
    if (((now - last) | 0) < everyMs && last !== 0) return false;
    return Atomics.compareExchange(this.#words, TICKED, last, now === 0 ? 1 : now) === last;
  }

  /** Heartbeat of a worker's event loop. */
  beat(place: number): void {
    Atomics.add(this.#words, this.#row(place) + HEARTBEAT, 1);
  }

  /** Changes with every heartbeat. */
  heartbeat(place: number): number {
    return Atomics.load(this.#words, this.#row(place) + HEARTBEAT);
  }

  /** Requests in progress in a worker. */
  setActiveRequests(place: number, count: number): void {
    Atomics.store(this.#words, this.#row(place) + ACTIVE, count);
  }

  activeRequests(place: number): number {
    return Atomics.load(this.#words, this.#row(place) + ACTIVE);
  }

  /** Loads from tiers in progress in a worker. */
  setLoadsInFlight(place: number, count: number): void {
    Atomics.store(this.#words, this.#row(place) + LOADS, count);
  }

  loadsInFlight(place: number): number {
    return Atomics.load(this.#words, this.#row(place) + LOADS);
  }

  /** Sets the system's thread id of a worker. */
  setThreadId(place: number, id: number): void {
    Atomics.store(this.#words, this.#row(place) + THREAD, id);
  }

  /** 0 if unknown. */
  threadId(place: number): number {
    return Atomics.load(this.#words, this.#row(place) + THREAD);
  }

  /** Prepares a row for another worker; the heartbeat keeps its value. */
  clear(place: number): void {
    this.setActiveRequests(place, 0);
    this.setThreadId(place, 0);
    this.setTrouble(place, false);
    this.setLoadsInFlight(place, 0);
  }

  /** Sets whether a worker has a tier that cannot be used. */
  setTrouble(place: number, isInTrouble: boolean): void {
    Atomics.store(this.#words, this.#row(place) + TROUBLE, isInTrouble ? 1 : 0);
  }

  isInTrouble(place: number): boolean {
    return Atomics.load(this.#words, this.#row(place) + TROUBLE) === 1;
  }

  #row(place: number): number {
    return HEADER_WORDS + place * ROW_WORDS;
  }
}
