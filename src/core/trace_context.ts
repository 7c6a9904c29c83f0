/** The trace and span that some work belongs to, as in the header `traceparent` (W3C Trace Context). */
export interface TraceContext {
  /** 32 hexadecimal digits, not all 0. */
  readonly traceId: string;
  /** 16 hexadecimal digits, not all 0. */
  readonly spanId: string;
  readonly sampled: boolean;
}

const SHAPE = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/**
 * Parses a `traceparent` (W3C Trace Context 3.2); undefined if it is invalid. From a future version it takes the known
 * part.
 */
export function parseTraceParent(text: string): TraceContext | undefined {
  const [, version, traceId = "", spanId = "", flags = "", rest] = SHAPE.exec(text) ?? [];
  if (version === undefined || version === "ff" || (version === "00" && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** Formats a context as a `traceparent`. */
export function formatTraceParent({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;
}

/** A request that is traced: its events carry details and can be put together. */
export interface TracedRequest {
  /** The `traceparent` of the response, which identifies the request in its events. */
  readonly requestId: string;
  /** The `traceparent` of the request itself, if it was valid. */
  readonly traceParent?: string;
}

/** Decides at the start of a request, by its `traceparent` (null: none), whether it is traced. */
export type TraceRequest = (traceParent: string | null) => TracedRequest | undefined;
