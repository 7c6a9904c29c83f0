import { type Attributes, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import { BatchQueue } from "./batch_queue.ts";
import { batchSettings } from "./batch_settings.ts";
import type { OtelEnv } from "../env.ts";
import { ExportCounts, type PushEnd } from "./export_counts.ts";
import { pushEnd } from "./push_end.ts";
import type { OtlpTarget } from "../otlp_target.ts";

/** A span that is over, with ids that were given out when it began. */
export interface FinishedSpan {
  readonly name: string;
  readonly kind: "server" | "client" | "internal";
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits; undefined: nobody refers to it, any will do. */
  readonly spanId?: string | undefined;
  readonly parentSpanId?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  readonly events?: readonly { readonly name: string; readonly timeMs: number; readonly attributes: Attributes }[];
  /** Whether it failed. */
  readonly failed: boolean;
}

/** The push of spans. */
export interface TracesPush {
  readonly record: (span: FinishedSpan) => void;
  readonly queue: BatchQueue<ReadableSpan>;
  readonly counts: ExportCounts;
  shutdown(): Promise<void>;
}

const KINDS = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL } as const;

/** Makes spans with the SDK's tracer and pushes them. SDK and exporter are loaded only here. */
export async function tracesPush(
  env: OtelEnv,
  target: OtlpTarget,
  { scope, resource, onEnd }: {
    readonly scope: string;
    readonly resource: Resource;
    readonly onEnd: (end: PushEnd) => void;
  },
): Promise<TracesPush> {
  const { AlwaysOnSampler, RandomIdGenerator, TracerProvider } = await import("@opentelemetry/sdk-trace");
  const { OTLPTraceExporter } = target.protocol === "http/json"
    ? await import("@opentelemetry/exporter-trace-otlp-http")
    : await import("@opentelemetry/exporter-trace-otlp-proto");
  const exporter = new OTLPTraceExporter({ url: target.url });
  const counts = new ExportCounts(onEnd);
  const queue = new BatchQueue<ReadableSpan>({
    ...batchSettings(env, "BSP"),
    counts,
    send: (spans, done) => exporter.export(spans, (result) => done(pushEnd(result))),
  });
  const random = new RandomIdGenerator();
  let next: FinishedSpan | undefined;
  const provider = new TracerProvider({
    resource,
    // Whether a request is traced was decided when it began.
    sampler: new AlwaysOnSampler(),
    idGenerator: {
      generateTraceId: () => next?.traceId ?? random.generateTraceId(),
      generateSpanId: () => next?.spanId ?? random.generateSpanId(),
    },
    spanProcessors: [{
      onStart: () => {},
      onEnd: (span) => queue.add(span),
      forceFlush: () => queue.flush(),
      shutdown: async () => {
        await queue.flush();
        await exporter.shutdown();
      },
    }],
  });
  const tracer = provider.getTracer(scope);
  return {
    queue,
    counts,
    shutdown: () => provider.shutdown(),
    record(finished) {
      const { name, traceId, parentSpanId, startMs, endMs, attributes, events = [], failed } = finished;
      const parent = parentSpanId === undefined
        ? ROOT_CONTEXT
        : trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId: parentSpanId, traceFlags: TraceFlags.SAMPLED });
      next = finished;
      const span = tracer.startSpan(name, { kind: KINDS[finished.kind], startTime: startMs, attributes }, parent);
      next = undefined;
      for (const event of events) span.addEvent(event.name, event.attributes, event.timeMs);
      if (failed) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end(endMs);
    },
  };
}
