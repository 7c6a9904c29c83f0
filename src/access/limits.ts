import type { Clock } from "../core/clock.ts";
import { type ErrorCode, VitrineError } from "../core/errors.ts";
import { hash } from "./failure_table.ts";

/** The limits on requests for objects, over all threads; 0: no limit. */
export interface LimitSettings {
  /** Requests in progress. */
  readonly maxRequests: number;
  /** Requests in progress for one tenant. */
  readonly maxTenantRequests: number;
  /** Requests for one tenant that may begin in a second. */
  readonly tenantRate: number;
  /** Bytes of the bodies that are being received; not less than the largest object has. */
  readonly maxUploadBytes: number;
}

const WINDOW_MS = 1000;
const KIB = 1024;
/** Twice this number of KiB still fits a word of the table. */
const MAX_UPLOAD_KIB = 2 ** 30 - 1;
/** Maximum number of tenants whose slots a thread remembers. */
const MAX_REMEMBERED = 4096;

/** Counts the requests of one thread, and refuses those beyond a limit. */
export class Limits {
  readonly #settings: LimitSettings;
  readonly #table: LimitTable;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #slots = new Map<string, number>();

  constructor(settings: LimitSettings, table: LimitTable, clock: Pick<Clock, "monotonicMs">) {
    this.#settings = settings;
    this.#table = table;
    this.#clock = clock;
  }

  /** True if the lengths of bodies count. */
  get countsUploads(): boolean {
    return this.#settings.maxUploadBytes > 0;
  }

  /**
   * Counts a request that begins; `announcedBytes` is the length of its body, or 0 if it has none or does not tell.
   * Throws VitrineError: rate_limited, too_many_requests, overloaded, too_many_bytes.
   */
  enter(tenant: string, announcedBytes: number): Visit {
    const { maxTenantRequests, tenantRate, maxRequests } = this.#settings;
    const table = this.#table;
    const slot = maxTenantRequests > 0 || tenantRate > 0 ? this.#slotOf(tenant) : undefined;
    if (slot !== undefined && tenantRate > 0) this.#checkRate(slot);
    if (slot !== undefined && maxTenantRequests > 0 && table.addTenantRequests(slot, 1) > maxTenantRequests) {
      table.addTenantRequests(slot, -1);
      throw limitError(
        "too_many_requests",
        maxTenantRequests,
        "count requests in progress: the tenant may have no more",
      );
    }
    const visit = new Visit(this.#settings, table, slot);
    try {
      if (maxRequests > 0 && table.addRequests(1) > maxRequests) {
        throw limitError("overloaded", maxRequests, "count requests in progress: the server takes no more");
      }
      visit.announced(announcedBytes);
    } catch (error) {
      visit.leave();
      throw error;
    }
    return visit;
  }

  #checkRate(slot: number): void {
    const limit = this.#settings.tenantRate;
    const window = Math.floor(this.#clock.monotonicMs() / WINDOW_MS);
    if (this.#table.addToWindow(slot, { window, limit })) return;
    throw limitError("rate_limited", limit, "count requests of this second: the tenant may send no more");
  }

  #slotOf(tenant: string): number {
    const known = this.#slots.get(tenant);
    if (known !== undefined) return known;
    if (this.#slots.size >= MAX_REMEMBERED) this.#slots.clear();
    const slot = this.#table.slotOf(tenant);
    this.#slots.set(tenant, slot);
    return slot;
  }
}

/** A request in progress that is counted. */
export class Visit {
  readonly #settings: LimitSettings;
  readonly #table: LimitTable;
  readonly #slot: number | undefined;
  #receivedBytes = 0;
  #uploadKib = 0;

  /** `slot`: the tenant's, if it counts. The request itself is counted already. */
  constructor(settings: LimitSettings, table: LimitTable, slot: number | undefined) {
    this.#settings = settings;
    this.#table = table;
    this.#slot = slot;
  }

  /** Counts the length that the body will have. Throws too_many_bytes. */
  announced(bytes: number): void {
    const limit = this.#settings.maxUploadBytes;
    const limitKib = Math.min(MAX_UPLOAD_KIB, Math.floor(limit / KIB));
    const moreKib = Math.ceil(bytes / KIB) - this.#uploadKib;
    // A body above the limit is larger than any object may be, and is refused for that.
    if (limit === 0 || !(moreKib > 0) || this.#uploadKib + moreKib > limitKib) return;
    if (this.#table.addUploadKib(moreKib) > limitKib) {
      this.#table.addUploadKib(-moreKib);
      throw limitError("too_many_bytes", limit, "count bytes of bodies in progress: the server takes no more");
    }
    this.#uploadKib += moreKib;
  }

  /** Counts bytes of the body beyond the length that it announced. Throws too_many_bytes. */
  received(bytes: number): void {
    this.#receivedBytes += bytes;
    this.announced(this.#receivedBytes);
  }

  /** The request is over. */
  leave(): void {
    const { maxRequests, maxTenantRequests } = this.#settings;
    if (maxRequests > 0) this.#table.addRequests(-1);
    if (this.#slot !== undefined && maxTenantRequests > 0) this.#table.addTenantRequests(this.#slot, -1);
    if (this.#uploadKib > 0) this.#table.addUploadKib(-this.#uploadKib);
  }
}

function limitError(code: ErrorCode, limit: number, message: string): VitrineError {
  return new VitrineError(code, message, { details: { limit } });
}

/** The memory of a limit table, shared by all threads that serve. */
export type LimitMemory = SharedArrayBuffer;

/** Tenants with counts of their own; further tenants share those of one more slot. */
export const MAX_TENANTS = 1024;

const SEED = 0;
const NAMES = 1;
const WINDOWS = NAMES + MAX_TENANTS;
const ROWS = WINDOWS + MAX_TENANTS + 1;
/** Words of a thread's row: requests, KiB of uploads, and requests by tenant. */
const REQUESTS = 0;
const UPLOAD_KIB = 1;
const BY_TENANT = 2;
const ROW_WORDS = BY_TENANT + MAX_TENANTS + 1;

/** A window's number and a count share a word, so that both change in one step. */
const COUNT_BITS = 20;
const WINDOW_MASK = 2 ** (32 - COUNT_BITS) - 1;
/** Maximum count of requests in a window. */
export const MAX_COUNT = 2 ** COUNT_BITS - 1;

/**
 * Counts what is in progress in all threads, and what began in the current window. Each thread changes a row of its
 * own, so that the counts of a thread that died are forgotten with its row.
 */
export class LimitTable {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #row: number;

  /** `place`: the thread's row, which is empty from now on. */
  constructor(memory: LimitMemory, place: number) {
    this.#words = new Int32Array(memory);
    this.#row = rowOf(place);
    LimitTable.forget(memory, place);
  }

  /** `seed` must be random, so that nobody can choose tenants that collide. */
  static allocate(places: number, seed: number): LimitMemory {
    const memory = new SharedArrayBuffer(4 * rowOf(places));
    new Int32Array(memory)[SEED] = seed;
    return memory;
  }

  /** Forgets the counts of a thread that has ended. */
  static forget(memory: LimitMemory, place: number): void {
    const words = new Int32Array(memory);
    for (let word = rowOf(place); word < rowOf(place + 1); word++) Atomics.store(words, word, 0);
  }

  /** The slot of a tenant, the same in every thread. Two tenants share one with a chance of 1 in 4 billion. */
  slotOf(tenant: string): number {
    const name = hash(tenant, this.#words[SEED] ?? 0) | 0 || 1;
    for (let probe = 0; probe < MAX_TENANTS; probe++) {
      const slot = ((name >>> 0) + probe) % MAX_TENANTS;
      const found = Atomics.compareExchange(this.#words, NAMES + slot, 0, name);
      if (found === 0 || found === name) return slot;
    }
    return MAX_TENANTS;
  }

  /** Changes the number of this thread's requests; returns that of all threads. */
  addRequests(change: 1 | -1): number {
    return this.#add(REQUESTS, change);
  }

  /** As addRequests, for the requests of a tenant. */
  addTenantRequests(slot: number, change: 1 | -1): number {
    return this.#add(BY_TENANT + slot, change);
  }

  /** As addRequests, for the sizes of bodies that are being received, in KiB. */
  addUploadKib(change: number): number {
    return this.#add(UPLOAD_KIB, change);
  }

  /** Counts a request of a tenant in a window; false, and not counted, if the window has `limit` already. */
  addToWindow(slot: number, { window, limit }: { readonly window: number; readonly limit: number }): boolean {
    const word = WINDOWS + slot;
    const tag = window & WINDOW_MASK;
    for (;;) {
      const before = Atomics.load(this.#words, word);
      const count = before >>> COUNT_BITS === tag ? before & MAX_COUNT : 0;
      if (count >= limit) return false;
      const after = tag << COUNT_BITS | count + 1;
      if (Atomics.compareExchange(this.#words, word, before, after) === before) return true;
    }
  }

  #add(word: number, change: number): number {
    Atomics.add(this.#words, this.#row + word, change);
    let sum = 0;
    for (let row = ROWS; row < this.#words.length; row += ROW_WORDS) sum += Atomics.load(this.#words, row + word);
    return sum;
  }
}

function rowOf(place: number): number {
  return ROWS + place * ROW_WORDS;
}
