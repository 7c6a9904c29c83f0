import type { Arena } from "../arena/arena.ts";
import { FIELD, STATE } from "../arena/entry.ts";
import type { EntryTable } from "../arena/entry_table.ts";
import { AccountLists } from "../arena/account_lists.ts";
import type { EvictionPolicy } from "./policy.ts";

/** Hits of one thread that wait until it has the lock. */
const MAX_WAITING = 64;

/**
 * Evicts the least recently used entry first. Hits need the lock to move an entry, so each thread gathers its own until
 * it has it for another reason, or for MAX_WAITING of them.
 */
export function lru(arena: Arena, entries: EntryTable, format: boolean): EvictionPolicy {
  const lists = new AccountLists(arena, entries, 0);
  if (format) lists.format();
  const waiting: { readonly entry: number; readonly generation: number }[] = [];

  function settle(): void {
    for (const { entry, generation } of waiting) {
      const isSame = entries.get(entry, FIELD.generation) === generation;
      if (isSame && entries.get(entry, FIELD.state) === STATE.resident) lists.ofEntry(entry).moveToHead(entry);
    }
    waiting.length = 0;
  }

  return {
    admitted(entry) {
      settle();
      lists.ofEntry(entry).pushHead(entry);
    },
    touched(entry) {
      settle();
      lists.ofEntry(entry).moveToHead(entry);
    },
    hit(entry) {
      const generation = entries.get(entry, FIELD.generation);
      const last = waiting.at(-1);
      if (last?.entry !== entry || last.generation !== generation) waiting.push({ entry, generation });
      return waiting.length >= MAX_WAITING;
    },
    settle,
    removed(entry) {
      settle();
      lists.ofEntry(entry).remove(entry);
    },
    assign(entry, account) {
      settle();
      lists.ofEntry(entry).remove(entry);
      entries.setAccount(entry, account);
      lists.ofEntry(entry).pushHead(entry);
    },
    rebuild: (residents) => lists.rebuild(residents),
    victim(mayLeave, account) {
      settle();
      const list = lists.of(account);
      for (let left = list.count; left > 0; left--) {
        const entry = list.tail;
        if (mayLeave(entry)) return entry;
        list.moveToHead(entry);
      }
      return -1;
    },
  };
}
