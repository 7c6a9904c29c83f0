/** A request whose events carry details about it. */
export interface FollowedRequest {
  /** The `traceparent` of its response: names it in every event that belongs to it. */
  readonly requestId: string;
  /** The `traceparent` that came with it, if it was valid. */
  readonly traceParent?: string;
}

/** Decides when a request begins, by its `traceparent` (null: it has none), whether it is followed. */
export type Follow = (traceParent: string | null) => FollowedRequest | undefined;
