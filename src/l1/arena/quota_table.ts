import { SharedTable } from "../../core/shared_table.ts";
import type { Quota, TenantQuota } from "../l1.ts";
import type { Arena, Counters } from "./arena.ts";
import { COUNTER, GRANULE_BYTES, QUOTA_WORDS } from "./layout.ts";

/** Words of a row. */
const STATE = 0;
const STRICT = 1;
const GRANULES = 2;
/** The next entry that a pass looks at. */
const HAND = 3;
const LENGTH = 4;
/** A float64. */
const LIMIT = 6;
const TENANT = 8;

/**
 * free → counting (entries from before the quota are being found) → counted → leaving (its entries are being let go)
 * → free. A quota that is set again while its row is leaving counts again.
 */
const ROW = { free: 0, counting: 1, counted: 2, leaving: 3 } as const;

/** Attempts of a lock-free look at all rows. */
const LOOKS = 8;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The quotas of tenants and the memory that they use, one row each. The number of a row is an account, from 1 on; 0
 * stands for all tenants without a quota. An entry names its account, so that what an account uses is the sum over its
 * entries at any time. The caller holds the arena's lock, except for `all`.
 */
export class QuotaTable {
  readonly #rows: SharedTable;
  readonly #counters: Counters;
  readonly #max: number;
  /** The accounts of tenants as of the version, in this thread. */
  readonly #accounts = new Map<string, number>();
  #version = 0;

  constructor(arena: Arena, counters: Counters) {
    const { at, maxQuotas } = arena.layout;
    // Account 0 has no row.
    this.#rows = new SharedTable(arena, at.quotas - QUOTA_WORDS, QUOTA_WORDS);
    this.#counters = counters;
    this.#max = maxQuotas;
  }

  format(): void {
    this.#counters.set(COUNTER.quotasTop, 0);
    this.#counters.set(COUNTER.quotasVersion, 0);
  }

  /** The highest account ever used; 0: there are none. */
  get top(): number {
    return this.#counters.get(COUNTER.quotasTop);
  }

  /** The account of a tenant; 0 if it has no quota. */
  accountOf(tenant: string): number {
    if (this.top === 0) return 0;
    this.#refresh();
    return this.#accounts.get(tenant) ?? 0;
  }

  /** Sets a quota, from now on. False: as many other tenants have one as may. */
  set(tenant: string, { limitBytes, isStrict }: Quota): boolean {
    const known = this.accountOf(tenant);
    const account = known === 0 ? this.#claim(tenant) : known;
    if (account === 0) return false;
    this.#rows.setDouble(account, LIMIT, limitBytes);
    this.#rows.set(account, STRICT, isStrict ? 1 : 0);
    if (known === 0) this.#begin(account, tenant, ROW.counting);
    return true;
  }

  /** Ends a tenant's quota. False: it has none. */
  remove(tenant: string): boolean {
    const account = this.accountOf(tenant);
    if (account === 0) return false;
    this.#rows.set(account, STRICT, 0);
    this.#rows.setDouble(account, LIMIT, Infinity);
    this.#begin(account, tenant, ROW.leaving);
    return true;
  }

  /** Memory was taken (or given back, if negative) by an entry of the account. */
  add(account: number, granules: number): void {
    if (account !== 0) this.#rows.set(account, GRANULES, this.granulesOf(account) + granules);
  }

  granulesOf(account: number): number {
    return this.#rows.get(account, GRANULES);
  }

  /** True if the tenant may not exceed its quota. */
  isStrict(account: number): boolean {
    return account !== 0 && this.#rows.get(account, STRICT) === 1;
  }

  /** The used part of the quota, if so many more granules were used; above 1: more than the quota. */
  shareOf(account: number, more: number): number {
    const granules = this.granulesOf(account) + more;
    return granules === 0 ? 0 : granules * GRANULE_BYTES / this.#rows.getDouble(account, LIMIT);
  }

  /** The accounts with entries. */
  *used(): Generator<number, void, void> {
    for (let account = 1; account <= this.top; account++) if (this.granulesOf(account) > 0) yield account;
  }

  /** A row that has yet to find its entries, or to let them go. */
  pass(): { readonly account: number; readonly tenant: Uint8Array; readonly isLeaving: boolean } | undefined {
    for (let account = 1; account <= this.top; account++) {
      const state = this.#rows.get(account, STATE);
      if (state !== ROW.counting && state !== ROW.leaving) continue;
      return { account, tenant: this.#tenantOf(account), isLeaving: state === ROW.leaving };
    }
    return undefined;
  }

  /** The next entry of a row's pass. */
  handOf(account: number): number {
    return this.#rows.get(account, HAND);
  }

  moveHand(account: number, hand: number): void {
    this.#rows.set(account, HAND, hand);
  }

  /** A row's pass has looked at all entries. */
  endPass(account: number): void {
    const isLeaving = this.#rows.get(account, STATE) === ROW.leaving;
    this.#rows.set(account, STATE, isLeaving ? ROW.free : ROW.counted);
  }

  /** True if entries may be in this account. */
  isAccount(account: number): boolean {
    return account === 0 || (account <= this.top && this.#rows.get(account, STATE) !== ROW.free);
  }

  /** Sets what is used. */
  rebuild(granules: ReadonlyMap<number, number>): void {
    for (let account = 1; account <= this.top; account++) {
      this.#rows.set(account, GRANULES, granules.get(account) ?? 0);
    }
    this.#touch();
  }

  /** The quotas and what is used of them, in the order of the tenants' bytes. Needs no lock. */
  all(): readonly TenantQuota[] {
    for (let look = 0;; look++) {
      const version = this.#counters.get(COUNTER.quotasVersion);
      const found: TenantQuota[] = [];
      for (let account = 1; account <= this.top; account++) {
        const state = this.#rows.get(account, STATE);
        if (state === ROW.counting || state === ROW.counted) found.push(this.#read(account, state));
      }
      // A row that was given to another tenant meanwhile could show one tenant with the numbers of the other.
      const isSame = this.#counters.get(COUNTER.quotasVersion) === version;
      if (isSame || look === LOOKS) return found.toSorted((a, b) => a.tenant < b.tenant ? -1 : 1);
    }
  }

  #read(account: number, state: number): TenantQuota {
    return {
      tenant: decoder.decode(this.#tenantOf(account)),
      limitBytes: this.#rows.getDouble(account, LIMIT),
      isStrict: this.isStrict(account),
      usedBytes: state === ROW.counted ? this.granulesOf(account) * GRANULE_BYTES : undefined,
    };
  }

  /** The row that is leaving with this tenant, or a free one; 0 if there is neither. */
  #claim(tenant: string): number {
    const bytes = encoder.encode(tenant);
    let free = 0;
    for (let account = 1; account <= this.top; account++) {
      const state = this.#rows.get(account, STATE);
      if (state === ROW.leaving && isSame(this.#tenantOf(account), bytes)) return account;
      if (state === ROW.free && free === 0) free = account;
    }
    if (free === 0) {
      if (this.top === this.#max) return 0;
      free = this.top + 1;
    }
    const words = new Int32Array(QUOTA_WORDS - TENANT);
    new Uint8Array(words.buffer).set(bytes);
    for (const [at, word] of words.entries()) this.#rows.set(free, TENANT + at, word);
    this.#rows.set(free, LENGTH, bytes.length);
    this.#rows.set(free, GRANULES, 0);
    if (free > this.top) this.#counters.set(COUNTER.quotasTop, free);
    return free;
  }

  /** Begins a pass. The accounts of this thread are those of the version, and are so afterwards. */
  #begin(account: number, tenant: string, state: number): void {
    this.#rows.set(account, HAND, 0);
    this.#rows.set(account, STATE, state);
    this.#touch();
    if (state === ROW.counting) this.#accounts.set(tenant, account);
    else this.#accounts.delete(tenant);
    this.#version = this.#counters.get(COUNTER.quotasVersion);
  }

  #touch(): void {
    this.#counters.add(COUNTER.quotasVersion, 1);
  }

  #refresh(): void {
    const version = this.#counters.get(COUNTER.quotasVersion);
    if (version === this.#version) return;
    this.#version = version;
    this.#accounts.clear();
    for (let account = 1; account <= this.top; account++) {
      const state = this.#rows.get(account, STATE);
      if (state !== ROW.counting && state !== ROW.counted) continue;
      this.#accounts.set(decoder.decode(this.#tenantOf(account)), account);
    }
  }

  #tenantOf(account: number): Uint8Array {
    const length = this.#rows.get(account, LENGTH);
    const words = new Int32Array(Math.ceil(length / 4));
    for (let at = 0; at < words.length; at++) words[at] = this.#rows.get(account, TENANT + at);
    return new Uint8Array(words.buffer, 0, length);
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
