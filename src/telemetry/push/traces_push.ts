import { type Attributes, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import type { OtelEnv, OtlpTarget } from "../otel_env.ts";
import { type BatchedPush, batchedPush } from "./batch_queue.ts";
import type { PushEnd } from "./push_end.ts";

/** An event within a span. */
export interface SpanEvent {
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly timeMs: number;
  readonly attributes: Attributes;
}

/** A finished span, with ids that were chosen when it began. */
export interface FinishedSpan {
  readonly name: string;
  readonly kind: "server" | "client" | "internal";
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits; undefined if any id will do, because nothing refers to it. */
  readonly spanId?: string | undefined;
  readonly parentSpanId?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  readonly events?: readonly SpanEvent[];
  readonly failed: boolean;
}

/** The push of spans. */
export interface TracesPush extends Pick<BatchedPush<ReadableSpan>, "queue" | "counts"> {
  readonly record: (span: FinishedSpan) => void;
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
  const { queue, counts, processor } = batchedPush<ReadableSpan>(env, exporter, { kind: "BSP", onEnd });
  const random = new RandomIdGenerator();
  let next: FinishedSpan | undefined;
  const provider = new TracerProvider({
    resource,
    // Sampling was decided at the start of the request.
    sampler: new AlwaysOnSampler(),
    idGenerator: {
      generateTraceId: () => next?.traceId ?? random.generateTraceId(),
      generateSpanId: () => next?.spanId ?? random.generateSpanId(),
    },
    spanProcessors: [{ ...processor, onStart: () => {}, onEnd: (span) => queue.add(span) }],
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
