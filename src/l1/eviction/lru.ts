import type { Arena } from "../arena/arena.ts";
import type { EntryTable } from "../arena/entry_table.ts";
import { EntryList } from "./entry_list.ts";
import type { EvictionPolicy } from "./policy.ts";

/** Evicts the least recently used entry first. */
export function lru(arena: Arena, entries: EntryTable, format: boolean): EvictionPolicy {
  const list = new EntryList(arena, entries, 0);
  if (format) list.format();
  return {
    admitted: (entry) => list.pushHead(entry),
    touched: (entry) => list.moveToHead(entry),
    removed: (entry) => list.remove(entry),
    rebuild: (residents) => list.rebuild(residents),
    victim(mayLeave) {
      for (let left = list.count; left > 0; left--) {
        const entry = list.tail;
        if (mayLeave(entry)) return entry;
        list.moveToHead(entry);
      }
      return -1;
    },
  };
}
