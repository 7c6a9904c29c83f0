import { type Attributes, ROOT_CONTEXT, SeverityNumber, trace, TraceFlags } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import type { ReadableLogRecord } from "@opentelemetry/sdk-logs";
import { BatchQueue } from "./batch_queue.ts";
import { batchSettings } from "./batch_settings.ts";
import type { OtelEnv } from "../env.ts";
import { ExportCounts, type PushEnd } from "./export_counts.ts";
import { pushEnd } from "./push_end.ts";
import type { OtlpTarget } from "../otlp_target.ts";

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
export interface LogsPush {
  readonly emit: (entry: LogEntry) => void;
  readonly queue: BatchQueue<ReadableLogRecord>;
  readonly counts: ExportCounts;
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
  const counts = new ExportCounts(onEnd);
  const queue = new BatchQueue<ReadableLogRecord>({
    ...batchSettings(env, "BLRP"),
    counts,
    send: (records, done) => exporter.export(records, (result) => done(pushEnd(result))),
  });
  const provider = new LoggerProvider({
    resource,
    processors: [{
      onEmit: (record) => queue.add(record),
      forceFlush: () => queue.flush(),
      shutdown: async () => {
        await queue.flush();
        await exporter.shutdown();
      },
    }],
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
