import { type Attributes, ROOT_CONTEXT, SeverityNumber, trace, TraceFlags } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import type { ReadableLogRecord } from "@opentelemetry/sdk-logs";
import type { OtelEnv, OtlpTarget } from "../otel_env.ts";
import { type BatchedPush, batchedPush } from "./batch_queue.ts";
import type { PushEnd } from "./push_end.ts";

/** A log record. */
export interface LogEntry {
  /** Milliseconds since the epoch. */
  readonly timeMs: number;
  readonly level: "error" | "warn" | "info" | "debug";
  readonly message: string;
  readonly attributes: Attributes;
  /** Of the request it belongs to. */
  readonly trace?: { readonly traceId: string; readonly spanId: string; readonly sampled: boolean } | undefined;
}

/** The push of log records. */
export interface LogsPush extends Pick<BatchedPush<ReadableLogRecord>, "queue" | "counts"> {
  readonly emit: (entry: LogEntry) => void;
  shutdown(): Promise<void>;
}

const SEVERITIES = {
  error: SeverityNumber.ERROR,
  warn: SeverityNumber.WARN,
  info: SeverityNumber.INFO,
  debug: SeverityNumber.DEBUG,
} as const;

/** Makes log records with the SDK's logger and pushes them. SDK and exporter are loaded only here. */
export async function logsPush(
  env: OtelEnv,
  target: OtlpTarget,
  { scope, resource, onEnd }: {
    readonly scope: string;
    readonly resource: Resource;
    readonly onEnd: (end: PushEnd) => void;
  },
): Promise<LogsPush> {
  const { LoggerProvider } = await import("@opentelemetry/sdk-logs");
  const { OTLPLogExporter } = target.protocol === "http/json"
    ? await import("@opentelemetry/exporter-logs-otlp-http")
    : await import("@opentelemetry/exporter-logs-otlp-proto");
  const exporter = new OTLPLogExporter({ url: target.url });
  const { queue, counts, processor } = batchedPush<ReadableLogRecord>(env, exporter, { kind: "BLRP", onEnd });
  const provider = new LoggerProvider({
    resource,
    processors: [{ ...processor, onEmit: (record) => queue.add(record) }],
  });
  const logger = provider.getLogger(scope);
  return {
    queue,
    counts,
    shutdown: () => provider.shutdown(),
    emit: ({ timeMs, level, message, attributes, trace: request }) =>
      logger.emit({
        timestamp: timeMs,
        severityNumber: SEVERITIES[level],
        severityText: level.toUpperCase(),
        body: message,
        attributes,
        context: request === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, {
          traceId: request.traceId,
          spanId: request.spanId,
          traceFlags: request.sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
        }),
      }),
  };
}
