import { FIELD, STATE } from "./arena/entry.ts";
import { GRANULE_BYTES } from "./arena/layout.ts";
import type { Tables } from "./tables.ts";

const NONE = -1;

/** Entries looked at in one critical section. */
const SECTION_ENTRIES = 512;

/** Who needs room: a write, by its account and the granules that it takes; or the loop. */
export interface Claimant {
  /** 0: a tenant without a quota, or the loop. */
  readonly account: number;
  readonly granules: number;
  /** True if room cannot be made without objects of tenants within their quotas, which are too large together. */
  readonly isForced: boolean;
}

/** An entry that should leave. */
interface Victim {
  readonly entry: number;
  /** True if its tenant uses more than its quota. */
  readonly isOver: boolean;
}

/**
 * Whose objects leave L1 first, and which entries count for which quota. Not locked: the caller holds the arena's lock.
 */
export class Quotas {
  readonly #tables: Tables;

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  /**
   * The entry to evict among those that satisfy `mayLeave`. First the tenant that exceeds its quota the most gives way,
   * then tenants without a quota, then, only if the claimant is within its quota, the claimant itself; or whoever uses
   * the largest part of its quota, if the quotas are too large together.
   */
  victim(claimant: Claimant, mayLeave: (entry: number) => boolean): Victim | undefined {
    const { policy, quotas } = this.#tables;
    const find = (account: number, isOver: boolean): Victim | undefined => {
      const entry = policy.victim(mayLeave, account);
      return entry === NONE ? undefined : { entry, isOver };
    };
    if (quotas.top === 0) return find(0, false);
    const shares = this.#shares(claimant);
    for (const { account, share } of shares) {
      const found = share > 1 ? find(account, true) : undefined;
      if (found !== undefined) return found;
    }
    const unprotected = find(0, false);
    if (unprotected !== undefined) return unprotected;
    const { isWithin, takesAll } = this.#claimOf(claimant);
    for (const { account, share } of shares) {
      const mayTake = takesAll || (isWithin && account === claimant.account);
      const found = share <= 1 && mayTake ? find(account, false) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** An entry of one account that may leave, or -1. */
  victimOf(account: number, mayLeave: (entry: number) => boolean): number {
    return this.#tables.policy.victim(mayLeave, account);
  }

  /** True if the account stays within its quota with so many more granules. */
  hasRoom(account: number, granules: number): boolean {
    return account === 0 || this.#tables.quotas.shareOf(account, granules) <= 1;
  }

  /** True if the tenant may not be given so many more granules, whatever it evicts. */
  refuses(account: number, granules: number): boolean {
    return this.#tables.quotas.isStrict(account) && !this.hasRoom(account, granules);
  }

  /** Granules of the tenants that are within their quotas. */
  get protectedGranules(): number {
    const { quotas } = this.#tables;
    let granules = 0;
    for (const account of quotas.used()) if (this.hasRoom(account, 0)) granules += quotas.granulesOf(account);
    return granules;
  }

  /**
   * Puts some entries from before a change of quotas into the right account. False: there is nothing left to do. The
   * order of the moved objects is lost: they follow in the order of their rows.
   */
  settle(): boolean {
    const { quotas, entries } = this.#tables;
    const pass = quotas.pass();
    if (pass === undefined) return false;
    const { account, tenant, isLeaving } = pass;
    const from = quotas.handOf(account);
    const to = Math.min(from + SECTION_ENTRIES, entries.top);
    for (let entry = from; entry < to; entry++) {
      if (entries.get(entry, FIELD.state) === STATE.free) continue;
      const of = entries.accountOf(entry);
      if (isLeaving && of === account) this.#move(entry, 0);
      if (!isLeaving && of === 0 && entries.isOfTenant(entry, tenant)) this.#move(entry, account);
    }
    if (to < entries.top) quotas.moveHand(account, to);
    else quotas.endPass(account);
    return true;
  }

  /** Counts anew. Entries of accounts that are not in use have none afterwards. */
  repair(): void {
    const { quotas, entries } = this.#tables;
    const granules = new Map<number, number>();
    for (let entry = 0; entry < entries.top; entry++) {
      if (entries.get(entry, FIELD.state) === STATE.free) continue;
      const account = entries.accountOf(entry);
      if (!quotas.isAccount(account)) entries.setAccount(entry, 0);
      else granules.set(account, (granules.get(account) ?? 0) + entries.get(entry, FIELD.granules));
    }
    quotas.rebuild(granules);
  }

  /** Bytes of a tenant's entries, a part of all entries a step: for tenants without a quota. */
  *count(tenant: Uint8Array, locked: <T>(section: () => T) => T): Generator<number, void, void> {
    const { entries } = this.#tables;
    for (let from = 0; from < entries.top; from += SECTION_ENTRIES) {
      yield locked(() => {
        let granules = 0;
        for (let entry = from; entry < Math.min(from + SECTION_ENTRIES, entries.top); entry++) {
          const isTheirs = entries.get(entry, FIELD.state) !== STATE.free && entries.isOfTenant(entry, tenant);
          if (isTheirs) granules += entries.get(entry, FIELD.granules);
        }
        return granules * GRANULE_BYTES;
      });
    }
  }

  /** The accounts with entries, and the parts of their quotas that they use once the claimant has its memory. */
  #shares(claimant: Claimant): readonly { readonly account: number; readonly share: number }[] {
    const { quotas } = this.#tables;
    const more = (account: number) => account === claimant.account ? claimant.granules : 0;
    return [...quotas.used()]
      .map((account) => ({ account, share: quotas.shareOf(account, more(account)) }))
      .sort((a, b) => Number(b.share > a.share) - Number(b.share < a.share));
  }

  /** Whether the claimant is within its quota, and whether objects of others within theirs may leave for it. */
  #claimOf({ account, granules, isForced }: Claimant): { readonly isWithin: boolean; readonly takesAll: boolean } {
    if (account === 0) return { isWithin: false, takesAll: isForced };
    const isWithin = this.hasRoom(account, granules);
    const isTooMuch = isForced || this.protectedGranules + granules > this.#tables.arena.layout.granules;
    return { isWithin, takesAll: isWithin && isTooMuch };
  }

  #move(entry: number, account: number): void {
    const { quotas, entries, policy } = this.#tables;
    const granules = entries.get(entry, FIELD.granules);
    quotas.add(entries.accountOf(entry), -granules);
    if (entries.get(entry, FIELD.state) === STATE.resident) policy.assign(entry, account);
    else entries.setAccount(entry, account);
    quotas.add(account, granules);
  }
}
