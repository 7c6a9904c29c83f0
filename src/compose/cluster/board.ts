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

/** Why nobody can rely on the storage thread: it has ended, or has stood still for so many seconds, 1 and up. */
export type StorageOutage = "gone" | { readonly seconds: number };

/**
 * What threads tell each other without a message: one row of shared words for each worker. While a worker lives, it
 * alone writes to its row. Rows belong to a worker's place, not to the thread that fills it: a replacement goes on
 * where the one before it stopped.
 */
export class Board {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  /** A new board for so many workers, or a view of one that was posted. */
  constructor(from: number | SharedArrayBuffer) {
    this.buffer = typeof from === "number" ? new SharedArrayBuffer(4 * (HEADER_WORDS + from * ROW_WORDS)) : from;
    this.#words = new Int32Array(this.buffer);
  }

  /** Whether traffic may come; main writes it. */
  get isReady(): boolean {
    return Atomics.load(this.#words, READY) === 1;
  }

  set isReady(ready: boolean) {
    Atomics.store(this.#words, READY, ready ? 1 : 0);
  }

  /** Whether any worker has ever listened, so that something may be acknowledged. */
  get hasServed(): boolean {
    return Atomics.load(this.#words, SERVES) === 1;
  }

  /** A worker is about to listen. */
  serves(): void {
    Atomics.store(this.#words, SERVES, 1);
  }

  /** The storage thread says that its event loop turns. */
  beatStorage(): void {
    Atomics.add(this.#words, STORAGE_BEAT, 1);
  }

  /** Moves on with every beat of the storage thread. */
  get storageBeat(): number {
    return Atomics.load(this.#words, STORAGE_BEAT);
  }

  /** The storage thread says which thread it is, by the system's number. */
  setStorageThreadId(id: number): void {
    Atomics.store(this.#words, STORAGE_THREAD, id);
  }

  /** 0 if it is not known. */
  get storageThreadId(): number {
    return Atomics.load(this.#words, STORAGE_THREAD);
  }

  /**
   * Main says for how many seconds the storage thread has been stuck, or "gone" between its end and the next one's
   * start; undefined: it is well, or there is none.
   */
  setStorageOutage(outage: StorageOutage | undefined): void {
    Atomics.store(this.#words, STORAGE_OUTAGE, outage === "gone" ? -1 : outage?.seconds ?? 0);
  }

  get storageOutage(): StorageOutage | undefined {
    const word = Atomics.load(this.#words, STORAGE_OUTAGE);
    return word === 0 ? undefined : word < 0 ? "gone" : { seconds: word };
  }

  /** Whether it is this thread that has L1's upkeep to do now: true for one of them in each `everyMs`. */
  claimTick(monotonicMs: number, everyMs: number): boolean {
    const now = monotonicMs | 0;
    const last = Atomics.load(this.#words, TICKED);
    // Wraps every 49 days; the difference of two times is right all the same.
    if (((now - last) | 0) < everyMs && last !== 0) return false;
    return Atomics.compareExchange(this.#words, TICKED, last, now === 0 ? 1 : now) === last;
  }

  /** A worker says that its event loop turns. */
  beat(place: number): void {
    Atomics.add(this.#words, this.#row(place) + HEARTBEAT, 1);
  }

  /** Moves on with every beat. */
  heartbeat(place: number): number {
    return Atomics.load(this.#words, this.#row(place) + HEARTBEAT);
  }

  /** Requests in hand at one worker. */
  setActiveRequests(place: number, count: number): void {
    Atomics.store(this.#words, this.#row(place) + ACTIVE, count);
  }

  activeRequests(place: number): number {
    return Atomics.load(this.#words, this.#row(place) + ACTIVE);
  }

  /** Loads from tiers that one worker has in hand. */
  setLoadsInFlight(place: number, count: number): void {
    Atomics.store(this.#words, this.#row(place) + LOADS, count);
  }

  loadsInFlight(place: number): number {
    return Atomics.load(this.#words, this.#row(place) + LOADS);
  }

  /** A worker says which thread it is, by the system's number. */
  setThreadId(place: number, id: number): void {
    Atomics.store(this.#words, this.#row(place) + THREAD, id);
  }

  /** 0 if it is not known. */
  threadId(place: number): number {
    return Atomics.load(this.#words, this.#row(place) + THREAD);
  }

  /** Makes a row ready for another worker; the heartbeat goes on from where it stands. */
  clear(place: number): void {
    this.setActiveRequests(place, 0);
    this.setThreadId(place, 0);
    this.setTrouble(place, false);
    this.setLoadsInFlight(place, 0);
  }

  /** Whether one worker has a tier that cannot be used. */
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
