import { parseTraceParent, type TraceContext } from "../../core/trace_context.ts";
import type { FinishedSpan } from "../../telemetry/mod.ts";

/** Takes finished spans along. */
export type RecordSpan = (span: FinishedSpan) => void;

/** The trace an event belongs to; undefined if its request is not traced. */
export function traceOf(requestId: string | undefined): TraceContext | undefined {
  const context = requestId === undefined ? undefined : parseTraceParent(requestId);
  return context?.sampled ? context : undefined;
}
