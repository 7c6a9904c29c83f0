import { HEAD, planSharedKeys, type SharedKeysMemory, STRIPE } from "./memory.ts";
import { Seats } from "./seats.ts";
import type { Seat } from "./shared_keys.ts";
import { StaleTable } from "./stale_table.ts";
import { WordLock } from "./word_lock.ts";

/**
 * Frees everything a dead thread held: stripes, turns, exclusion. To be called once it runs no more, by one thread
 * (`holder`: the caller's own number), before its place is taken again.
 */
export function releaseSeat(memory: SharedKeysMemory, options: { readonly dead: Seat; readonly holder: number }): void {
  const { dead, holder } = options;
  const layout = planSharedKeys(memory.options);
  const words = new Int32Array(memory.words);
  const free = (word: number): boolean => {
    const held = Atomics.compareExchange(words, word, dead.holder, 0) === dead.holder;
    if (held) Atomics.notify(words, word);
    return held;
  };
  // First, so that whoever hands a stripe over sees it, or we see the stripe.
  new Seats(words, layout).leave(dead.place, dead.holder);
  free(HEAD.lock);
  free(HEAD.exclusive);
  for (let stripe = 0; stripe < layout.stripes; stripe++) {
    const row = layout.at.stripes + stripe * STRIPE.words;
    Atomics.and(words, row + STRIPE.wanted + (dead.place >>> 5), ~(1 << (dead.place & 31)));
    free(row + STRIPE.turn);
    // Readers that began while it was at work have to look again.
    if (free(row + STRIPE.owner)) Atomics.add(words, row + STRIPE.sequence, 1);
  }
  Atomics.add(words, HEAD.exclusiveSequence, 1);
  const lock = new WordLock(words, HEAD.lock, holder);
  new StaleTable(words, { lock, layout, hashSeed: memory.options.hashSeed }).recount();
}
