/** Who stores what L1 holds and the tiers do not have yet: this thread, or another. */
export interface Storing {
  /** There is something to store. */
  wake(): void;
  /** Resolves when what was unsaved at the call is stored; after a while also if it is not. Never rejects. */
  settle(): Promise<void>;
}
