import { createHash } from "node:crypto";
import { keyId, type ObjectKey } from "../core/object.ts";
import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L2Adapter } from "./adapter.ts";

/** Options of a Scrubber. */
export interface ScrubberOptions {
  readonly publish: Publish<EventMap>;
  /** Bytes to read in a second, on average; 0: nothing is read, and only damage that others find is published. */
  readonly bytesPerSecond: number;
  /** Time from the start to the first round. */
  readonly delayMs: number;
  /** Monotonic. */
  readonly nowMs: () => number;
  /** Resolves after a time. */
  readonly wait: (ms: number) => Promise<void>;
}

/** Shortest time from the start of one round to that of the next. */
const ROUND_MS = 60 * 60_000;
/** An object costs at least as much as this many bytes. */
const OBJECT_BYTES = 4096;
/** Waits below this time are put off, because timers are not that exact. */
const MIN_WAIT_MS = 20;
/** Digits of the hash by which the log names a damaged object. */
const HASH_DIGITS = 16;

type Outcome = EventMap["l2.scrubbed"]["outcome"];

/**
 * Reads all objects of the tiers again and again, at a bounded rate, so that damage is found before somebody needs the
 * object. A tier verifies what it reads, and removes and reports what is damaged (see L2Reader). For the thread that
 * owns the tiers.
 */
export class Scrubber {
  readonly #tiers: readonly (L2Adapter | undefined)[];
  readonly #options: ScrubberOptions;
  readonly #stopping = Promise.withResolvers<void>();
  #isStopping = false;
  #running: Promise<void> | undefined;
  /** The object that is being read, and whether its tier has found it damaged. */
  #current: { readonly tier: number; readonly id: string; isDamaged: boolean } | undefined;
  #owedMs = 0;

  /** Tiers that cannot list their keys are left out. `tiers`: by their index; undefined for those of another thread. */
  constructor(tiers: readonly (L2Adapter | undefined)[], options: ScrubberOptions) {
    this.#tiers = tiers;
    this.#options = options;
  }

  start(): void {
    if (this.#options.bytesPerSecond > 0) this.#running = this.#run();
  }

  /** Resolves when nothing is read any more. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#stopping.resolve();
    await this.#running;
  }

  /** Tells of an object that a tier has found damaged, whoever has read it; `tier` is its index. */
  damaged(tier: number, key: ObjectKey): void {
    const current = this.#current;
    const isOwn = current !== undefined && current.tier === tier && current.id === keyId(key);
    if (isOwn) current.isDamaged = true;
    this.#options.publish("l2.damaged", {
      tier: this.#tiers[tier]?.name ?? "",
      found: isOwn ? "scrub" : "read",
      keyHash: createHash("sha256").update(keyId(key)).digest("hex").slice(0, HASH_DIGITS),
    });
  }

  async #run(): Promise<void> {
    const { nowMs, delayMs } = this.#options;
    await this.#pause(delayMs);
    while (!this.#isStopping) {
      const beganMs = nowMs();
      for (const tier of this.#tiers.keys()) await this.#round(tier);
      await this.#pause(Math.max(0, beganMs + ROUND_MS - nowMs()));
    }
  }

  /** Reads a tier once; a tier that fails is left until the next round. */
  async #round(tier: number): Promise<void> {
    try {
      for await (const page of this.#tiers[tier]?.keys?.() ?? []) {
        for (const key of page) {
          if (this.#isStopping) return;
          await this.#check(tier, key);
        }
      }
    } catch {
      // The tier reports its own failures.
    }
  }

  async #check(tier: number, key: ObjectKey): Promise<void> {
    const adapter = this.#tiers[tier];
    if (adapter === undefined) return;
    const current = { tier, id: keyId(key), isDamaged: false };
    this.#current = current;
    let bytes = 0;
    let outcome: Outcome = "gone";
    try {
      await this.#pace(OBJECT_BYTES);
      const load = await adapter.peek?.(key);
      for await (const chunk of load?.chunks ?? []) {
        bytes += chunk.byteLength;
        await this.#pace(chunk.byteLength);
        if (this.#isStopping) return;
      }
      if (load !== undefined) outcome = "intact";
    } catch {
      outcome = "failed";
    } finally {
      this.#current = undefined;
    }
    if (current.isDamaged) outcome = "damaged";
    this.#options.publish("l2.scrubbed", { tier: adapter.name, outcome, keys: 1, bytes });
  }

  async #pace(bytes: number): Promise<void> {
    this.#owedMs += bytes * 1000 / this.#options.bytesPerSecond;
    if (this.#owedMs < MIN_WAIT_MS) return;
    const owedMs = this.#owedMs;
    this.#owedMs = 0;
    await this.#pause(owedMs);
  }

  async #pause(ms: number): Promise<void> {
    await Promise.race([this.#options.wait(ms), this.#stopping.promise]);
  }
}
