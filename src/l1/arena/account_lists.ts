import type { Arena } from "./arena.ts";
import { EntryList } from "./entry_list.ts";
import type { EntryTable } from "./entry_table.ts";
import { policyList } from "./layout.ts";

/**
 * One of an eviction policy's lists, for each account: a tenant with a quota has lists of its own, and what others do
 * neither moves its objects nor is moved by them.
 */
export class AccountLists {
  readonly #arena: Arena;
  readonly #entries: EntryTable;
  readonly #list: number;
  readonly #opened: EntryList[] = [];

  /** `list`: its number among the policy's lists. */
  constructor(arena: Arena, entries: EntryTable, list: number) {
    this.#arena = arena;
    this.#entries = entries;
    this.#list = list;
  }

  format(): void {
    for (let account = 0; account <= this.#arena.layout.maxQuotas; account++) this.of(account).format();
  }

  /** The list of an account. */
  of(account: number): EntryList {
    const found = this.#opened[account] ??
      new EntryList(this.#arena, this.#entries, policyList(account, this.#list));
    this.#opened[account] = found;
    return found;
  }

  /** The list of an entry's account. */
  ofEntry(entry: number): EntryList {
    return this.of(this.#entries.accountOf(entry));
  }

  /** Rebuilds the lists of all accounts; exactly `members` are in them. */
  rebuild(members: readonly number[]): void {
    const byAccount = Map.groupBy(members, (entry) => this.#entries.accountOf(entry));
    for (let account = 0; account <= this.#arena.layout.maxQuotas; account++) {
      this.of(account).rebuild(byAccount.get(account) ?? []);
    }
  }
}
