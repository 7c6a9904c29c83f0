import { isIPv6 } from "node:net";
import type { Clock } from "../core/clock.ts";
import { unmapped } from "./client_address.ts";

/** The memory of a failure table, shared by all threads of a server. */
export type FailureMemory = SharedArrayBuffer;

/** Failures allowed per address and window. */
export const MAX_FAILURES = 20;
/** Length of a window in milliseconds. */
export const WINDOW_MS = 60_000;

const ROWS = 2;
const SLOTS = 4096;
const COUNT_BITS = 16;
const MAX_COUNT = 2 ** COUNT_BITS - 1;

/**
 * Counts failed attempts by address and window, for all threads, in 32 KiB for any number of addresses. It is a
 * count-min sketch (Cormode, Muthukrishnan 2005) with two rows. Each word holds a window's number and a count, so that
 * both change in one step. The count of an address is too high only if it shares both of its words with others.
 */
export class FailureTable {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #clock: Pick<Clock, "monotonicMs">;

  constructor(memory: FailureMemory, clock: Pick<Clock, "monotonicMs">) {
    this.#words = new Int32Array(memory);
    this.#clock = clock;
  }

  /** `seed` must be random, so that nobody can choose addresses that collide. */
  static allocate(seed: number): FailureMemory {
    const memory = new SharedArrayBuffer(4 * (1 + ROWS * SLOTS));
    new Int32Array(memory)[0] = seed;
    return memory;
  }

  /** True if the address has used up its failures in this window. */
  isOver(address: string): boolean {
    const window = this.#window();
    return this.#slots(address).every((slot) => this.#count(slot, window) >= MAX_FAILURES);
  }

  /** Counts a failure; returns true if the address had used up its failures before. */
  add(address: string): boolean {
    const wasOver = this.isOver(address);
    const window = this.#window();
    for (const slot of this.#slots(address)) this.#add(slot, window);
    return wasOver;
  }

  /** Seconds until the next window, at least 1. */
  secondsLeft(): number {
    return Math.max(1, Math.ceil((WINDOW_MS - this.#clock.monotonicMs() % WINDOW_MS) / 1000));
  }

  #window(): number {
    return Math.floor(this.#clock.monotonicMs() / WINDOW_MS) & 0x7fff;
  }

  #count(slot: number, window: number): number {
    const word = Atomics.load(this.#words, slot);
    return word >>> COUNT_BITS === window ? word & MAX_COUNT : 0;
  }

  #add(slot: number, window: number): void {
    for (;;) {
      const word = Atomics.load(this.#words, slot);
      const count = Math.min(MAX_COUNT, this.#count(slot, window) + 1);
      if (Atomics.compareExchange(this.#words, slot, word, window << COUNT_BITS | count) === word) return;
    }
  }

  #slots(address: string): readonly number[] {
    const group = addressGroup(address);
    const seed = this.#words[0] ?? 0;
    return Array.from({ length: ROWS }, (_, row) => 1 + row * SLOTS + hash(group, seed ^ row * 0x9e3779b9) % SLOTS);
  }
}

/**
 * The name under which an address is counted: an IPv4 address (also as `::ffff:…`) under its own, an IPv6 address under
 * its /64, because one machine may own the whole /64.
 */
export function addressGroup(address: string): string {
  const plain = unmapped(address);
  if (!isIPv6(plain)) return plain;
  const [head = "", tail] = plain.split("%", 1).join("").split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined
    ? []
    : Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => "0");
  const groups = [...left, ...zeros, ...right].slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${groups.join(":")}::/64`;
}

/** FNV-1a with the finalizer of MurmurHash3, as an unsigned 32-bit number. */
export function hash(text: string, seed: number): number {
  let h = 0x811c9dc5 ^ seed;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ h >>> 16, 0x85ebca6b);
  h = Math.imul(h ^ h >>> 13, 0xc2b2ae35);
  return (h ^ h >>> 16) >>> 0;
}
