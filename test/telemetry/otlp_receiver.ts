import { Buffer } from "node:buffer";
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import * as v from "valibot";

const attributesSchema = v.array(v.object({ key: v.string(), value: v.object({ stringValue: v.string() }) }));
const numberSchema = v.pipe(v.union([v.number(), v.string()]), v.transform(Number));
const numberPoints = v.object({
  dataPoints: v.array(
    v.object({ attributes: attributesSchema, asDouble: v.optional(numberSchema), asInt: v.optional(numberSchema) }),
  ),
});
const histogramPoints = v.object({
  dataPoints: v.array(v.object({
    attributes: attributesSchema,
    count: numberSchema,
    sum: numberSchema,
    bucketCounts: v.array(numberSchema),
    explicitBounds: v.array(numberSchema),
  })),
});
const metricSchema = v.object({
  name: v.string(),
  sum: v.optional(numberPoints),
  gauge: v.optional(numberPoints),
  histogram: v.optional(histogramPoints),
});
const bodySchema = v.object({
  resourceMetrics: v.array(v.object({
    resource: v.object({ attributes: attributesSchema }),
    scopeMetrics: v.array(v.object({ metrics: v.array(metricSchema) })),
  })),
});

const attributeSchema = v.object({
  key: v.string(),
  value: v.pipe(
    v.union([
      v.object({ stringValue: v.string() }),
      v.object({ intValue: numberSchema }),
      v.object({ doubleValue: v.number() }),
      v.object({ boolValue: v.boolean() }),
    ]),
    v.transform((value) => Object.values(value)[0]),
  ),
});
const anyAttributes = v.pipe(
  v.optional(v.array(attributeSchema), []),
  v.transform((list) => Object.fromEntries(list.map(({ key, value }) => [key, value]))),
);
const spanSchema = v.object({
  name: v.string(),
  kind: v.number(),
  traceId: v.string(),
  spanId: v.string(),
  parentSpanId: v.optional(v.string()),
  startTimeUnixNano: v.string(),
  endTimeUnixNano: v.string(),
  attributes: anyAttributes,
  events: v.array(v.object({ name: v.string(), timeUnixNano: v.string(), attributes: anyAttributes })),
  status: v.object({ code: v.number() }),
});
const tracesSchema = v.object({
  resourceSpans: v.array(v.object({ scopeSpans: v.array(v.object({ spans: v.array(spanSchema) })) })),
});
const recordSchema = v.object({
  timeUnixNano: v.string(),
  severityText: v.string(),
  body: v.object({ stringValue: v.string() }),
  attributes: anyAttributes,
  traceId: v.optional(v.string()),
  spanId: v.optional(v.string()),
});
const logsSchema = v.object({
  resourceLogs: v.array(v.object({ scopeLogs: v.array(v.object({ logRecords: v.array(recordSchema) })) })),
});

/** One push as it arrived; the form of its content is checked when it is asked for. */
export interface Push {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Uint8Array;
  /** Of metrics. */
  readonly resource: () => Readonly<Record<string, string>>;
  /** The values by series, written as in Prometheus text, with a constant label. */
  readonly samples: (constantLabel: string) => ReadonlyMap<string, number>;
  readonly spans: () => readonly v.InferOutput<typeof spanSchema>[];
  readonly logRecords: () => readonly v.InferOutput<typeof recordSchema>[];
}

/** How a receiver treats a push. */
export type Behaviour = "answer" | "hang" | {
  readonly status: number;
  readonly retryAfter?: string;
  readonly body?: string | Uint8Array;
};

/** A collector on a free local port that takes OTLP, and answers, refuses or never does. */
export class OtlpReceiver {
  readonly url: string;
  /** May be changed at any time. */
  behaviour: Behaviour;
  readonly #server: Server;
  readonly #pushes: Push[] = [];
  readonly #waiting: ((push: Push) => void)[] = [];

  private constructor(server: Server, url: string, behaviour: Behaviour) {
    this.#server = server;
    this.url = url;
    this.behaviour = behaviour;
  }

  static async start(behaviour: Behaviour): Promise<OtlpReceiver> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error(`not a TCP address: ${address}`);
    const receiver = new OtlpReceiver(server, `http://127.0.0.1:${address.port}`, behaviour);
    server.on("request", (request, response) => {
      const chunks: Uint8Array<ArrayBuffer>[] = [];
      request.on("data", (chunk: Uint8Array<ArrayBuffer>) => chunks.push(chunk));
      request.on("end", () => {
        receiver.#answer(response);
        receiver.#take(pushOf(request.url ?? "", request.headers, Buffer.concat(chunks)));
      });
    });
    return receiver;
  }

  /** The next push that nobody has taken yet. */
  next(): Promise<Push> {
    const push = this.#pushes.shift();
    return push === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(push);
  }

  /** Breaks open connections off. */
  stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    return closed;
  }

  #answer(response: ServerResponse): void {
    const { behaviour } = this;
    if (behaviour === "hang") return;
    if (behaviour === "answer") {
      response.writeHead(200, { "content-type": "application/json" }).end("{}");
      return;
    }
    const { status, retryAfter, body } = behaviour;
    response.writeHead(status, retryAfter === undefined ? {} : { "retry-after": retryAfter }).end(body);
  }

  #take(push: Push): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#pushes.push(push);
    else waiting(push);
  }
}

function pushOf(path: string, headers: IncomingHttpHeaders, bytes: Buffer): Push {
  const json = (): unknown => JSON.parse(bytes.toString());
  const metrics = () => v.parse(bodySchema, json()).resourceMetrics;
  return {
    path,
    headers,
    bytes,
    resource: () => {
      const attributes = metrics().flatMap(({ resource }) => resource.attributes);
      return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue]));
    },
    samples: (constantLabel) => {
      const all = metrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics));
      return new Map(all.flatMap((metric) => samplesOf(metric, constantLabel)));
    },
    spans: () =>
      v.parse(tracesSchema, json()).resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
    logRecords: () =>
      v.parse(logsSchema, json()).resourceLogs.flatMap(({ scopeLogs }) =>
        scopeLogs.flatMap(({ logRecords }) => logRecords)
      ),
  };
}

function samplesOf(
  metric: v.InferOutput<typeof metricSchema>,
  constantLabel: string,
): readonly (readonly [string, number])[] {
  const labels = (attributes: v.InferOutput<typeof attributesSchema>, ...rest: readonly string[]) => {
    const own = attributes.map(({ key, value }) => `${key}=${JSON.stringify(value.stringValue)}`);
    return `{${[...own, constantLabel, ...rest].join(",")}}`;
  };
  const numbers = [...metric.sum?.dataPoints ?? [], ...metric.gauge?.dataPoints ?? []];
  const histograms = metric.histogram?.dataPoints ?? [];
  return [
    ...numbers.map(({ attributes, asDouble, asInt }) =>
      [`${metric.name}${labels(attributes)}`, asDouble ?? asInt ?? NaN] as const
    ),
    ...histograms.flatMap(({ attributes, count, sum, bucketCounts, explicitBounds }) => {
      let cumulative = 0;
      const buckets = bucketCounts.map((inBucket, index) => {
        cumulative += inBucket;
        return [
          `${metric.name}_bucket${labels(attributes, `le="${explicitBounds[index] ?? "+Inf"}"`)}`,
          cumulative,
        ] as const;
      });
      const base = labels(attributes);
      return [[`${metric.name}_count${base}`, count] as const, [`${metric.name}_sum${base}`, sum] as const, ...buckets];
    }),
  ];
}
