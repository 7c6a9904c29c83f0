import type { ObjectKey } from "../../core/key.ts";
import { KeyBytes } from "../../l1/arena/key_bytes.ts";
import type { EncodedKey } from "../../l1/l1.ts";
import { Fingerprint } from "./fingerprint.ts";
import { GhostTable, type Loss } from "./ghost_table.ts";
import { planSharedKeys, type SharedKeysMemory } from "./memory.ts";
import { StoredKeys } from "./stored_keys.ts";

/** The removal history of one key. */
export interface Memory {
  /** The last remembered loss in each tier, unordered. */
  readonly losses: readonly Loss[];
  /** False: the key was certainly neither stored nor lost since the server started. */
  readonly wasHere: boolean;
}

/**
 * The removal history, shared by all threads: it remembers how objects left, which explains a miss. A loss is
 * remembered until newer ones replace it; that a key was here is never forgotten. A loss says nothing about the
 * present: the key may have been stored again since.
 */
export class GhostIndex {
  readonly #key: KeyBytes;
  readonly #print: Fingerprint;
  readonly #table: GhostTable;
  readonly #stored: StoredKeys;

  constructor(memory: SharedKeysMemory) {
    const { hashSeed } = memory.options;
    const layout = planSharedKeys(memory.options);
    const words = new Int32Array(memory.words);
    this.#key = new KeyBytes(hashSeed);
    this.#print = new Fingerprint(hashSeed);
    this.#table = new GhostTable(words, layout);
    this.#stored = new StoredKeys(words, layout);
  }

  /** Number of losses overwritten by those of other keys; wraps at 2^32. */
  get forgotten(): number {
    return this.#table.forgotten;
  }

  /**
   * Must be called before the key becomes visible. If a thread dies in between, no visible key counts as never stored.
   */
  storing(key: ObjectKey): void {
    this.#stored.add(this.#printOf(key));
  }

  lost(key: ObjectKey, loss: Loss): void {
    this.#key.set(key);
    this.lostEncoded(this.#key, loss);
  }

  /** Like `lost`, for a key in UTF-8, as L1 has it. */
  lostEncoded(key: EncodedKey, loss: Loss): void {
    const print = this.#print.set(key);
    // Added first: a loss that is later forgotten, or half-written, leaves at least this.
    this.#stored.add(print);
    this.#table.add(print, loss);
  }

  /** False: the key was certainly neither stored nor lost. */
  knows(key: ObjectKey): boolean {
    return this.#stored.has(this.#printOf(key));
  }

  recall(key: ObjectKey): Memory {
    const print = this.#printOf(key);
    return { losses: this.#table.find(print), wasHere: this.#stored.has(print) };
  }

  #printOf(key: ObjectKey): Fingerprint {
    this.#key.set(key);
    return this.#print.set(this.#key);
  }
}
