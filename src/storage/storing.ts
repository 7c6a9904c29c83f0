/** A write that waits for its store and belongs to a request whose events carry details. */
export interface FollowedWrite {
  /** Of the object: no other has it. */
  readonly version: number;
  readonly requestId: string;
}

/** Who stores what L1 holds and the tiers do not have yet: this thread, or another. */
export interface Storing {
  /** There is something to store. */
  wake(followed?: FollowedWrite): void;
  /** Resolves when what was unsaved at the call is stored; after a while also if it is not. Never rejects. */
  settle(): Promise<void>;
}
