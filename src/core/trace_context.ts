/** Whose work something is part of, as W3C Trace Context has it in the header `traceparent`. */
export interface TraceContext {
  /** 32 hexadecimal digits, not all 0. */
  readonly traceId: string;
  /** 16 hexadecimal digits, not all 0. */
  readonly spanId: string;
  readonly sampled: boolean;
}

const SHAPE = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/**
 * The context of a `traceparent`; undefined if it is none (W3C Trace Context 3.2). Of versions to come it takes the
 * part that is known.
 */
export function parseTraceParent(text: string): TraceContext | undefined {
  const [, version, traceId = "", spanId = "", flags = "", rest] = SHAPE.exec(text) ?? [];
  if (version === undefined || version === "ff" || (version === "00" && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** The `traceparent` of a context. */
export function formatTraceParent({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;
}

/** A request whose events carry details about it. */
export interface FollowedRequest {
  /** The `traceparent` of its response: names it in every event that belongs to it. */
  readonly requestId: string;
  /** The `traceparent` that came with it, if it was valid. */
  readonly traceParent?: string;
}

/** Decides when a request begins, by its `traceparent` (null: it has none), whether it is followed. */
export type Follow = (traceParent: string | null) => FollowedRequest | undefined;
