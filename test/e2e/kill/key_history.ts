import { contentOf } from "./content.ts";

/** What a write does. */
export type WriteKind = "put" | "delete";

/**
 * One key's writes, one at a time, numbered from 1; state n is what the key holds after write n, state 0 is nothing. A
 * read may show any state between the one acknowledged when it began and the one last asked for when it ended.
 */
export class KeyHistory {
  readonly key: string;
  readonly #writes: WriteKind[] = [];
  #acknowledged = 0;

  constructor(key: string) {
    this.key = key;
  }

  /** The newest state that a client was told of. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** The newest state that a client asked for; one ahead of `acknowledged` while a write runs. */
  get asked(): number {
    return this.#writes.length;
  }

  /** Begins a write and returns its number. */
  begin(kind: WriteKind): number {
    if (this.asked !== this.#acknowledged) throw new Error(`history of ${this.key}: two writes at a time`);
    return this.#writes.push(kind);
  }

  /** The running write was acknowledged. */
  acknowledge(): void {
    this.#acknowledged = this.asked;
  }

  /** What the key holds in a state; undefined: nothing. */
  bytesAt(state: number): Uint8Array | undefined {
    return this.#writes[state - 1] === "put" ? contentOf(this.key, state) : undefined;
  }

  /** The newest state from `oldest` on that holds just this; undefined if none does. */
  stateOf(found: Uint8Array | undefined, oldest: number): number | undefined {
    for (let state = this.asked; state >= oldest; state--) {
      const bytes = this.bytesAt(state);
      if (bytes === undefined || found === undefined ? bytes === found : Buffer.compare(bytes, found) === 0) {
        return state;
      }
    }
    return undefined;
  }

  /** After a crash: takes what was found as the truth, a write that is not in it is forgotten. */
  settle(state: number): void {
    this.#writes.length = state;
    this.#acknowledged = state;
  }
}
