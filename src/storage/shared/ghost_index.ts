import type { ObjectKey } from "../../core/key.ts";
import { KeyBytes } from "../../l1/arena/key_bytes.ts";
import type { EncodedKey } from "../../l1/l1.ts";
import { Fingerprint } from "./fingerprint.ts";
import { GhostTable, type Loss } from "./ghost_table.ts";
import { planSharedKeys, type SharedKeysMemory } from "./memory.ts";
import { StoredKeys } from "./stored_keys.ts";

/** What is remembered of a key. */
export interface Memory {
  /** The last loss in each tier that is not forgotten, in no order. */
  readonly losses: readonly Loss[];
  /** False: it was certainly neither stored nor lost since the server started. */
  readonly wasHere: boolean;
}

/**
 * Remembers, for all threads, how objects left: what explains a miss. A loss stays until newer ones take its place;
 * that a key was here is never forgotten. A loss says nothing about now: the key may have been stored again since.
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

  /** How many losses were overwritten by those of other keys; starts over at 2^32. */
  get forgotten(): number {
    return this.#table.forgotten;
  }

  /** To be called before the key becomes visible, so that whoever dies in between leaves no key that was never here. */
  storing(key: ObjectKey): void {
    this.#stored.add(this.#printOf(key));
  }

  lost(key: ObjectKey, loss: Loss): void {
    this.#key.set(key);
    this.lostEncoded(this.#key, loss);
  }

  /** The same for a key in UTF-8, as L1 has it. */
  lostEncoded(key: EncodedKey, loss: Loss): void {
    const print = this.#print.set(key);
    // First: a loss that is forgotten again, or half written, leaves at least this.
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
