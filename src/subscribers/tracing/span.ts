import type { Attributes } from "@opentelemetry/api";
import { parseTraceParent, type TraceContext } from "../../core/trace_context.ts";

/** Something that happened within a span. */
export interface SpanEvent {
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly timeMs: number;
  readonly attributes: Attributes;
}

/** A span that is over; telemetry makes the SDK's of it. */
export interface FinishedSpan {
  readonly name: string;
  readonly kind: "server" | "client" | "internal";
  readonly traceId: string;
  /** Undefined: nobody refers to it. */
  readonly spanId?: string | undefined;
  readonly parentSpanId?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  readonly events?: readonly SpanEvent[];
  readonly failed: boolean;
}

/** Takes finished spans along. */
export type RecordSpan = (span: FinishedSpan) => void;

/** The trace an event belongs to; undefined if its request is not traced. */
export function traceOf(requestId: string | undefined): TraceContext | undefined {
  const context = requestId === undefined ? undefined : parseTraceParent(requestId);
  return context?.sampled ? context : undefined;
}
