import { Buffer } from "node:buffer";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
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

/** One push as it arrived. */
export interface Push {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly resource: Readonly<Record<string, string>>;
  /** The values by series, written as in Prometheus text, with a constant label. */
  samples(constantLabel: string): ReadonlyMap<string, number>;
}

/** A collector on a free local port that takes OTLP metrics as JSON, and answers or never does. */
export class OtlpReceiver {
  readonly url: string;
  readonly #server: Server;
  readonly #pushes: Push[] = [];
  readonly #waiting: ((push: Push) => void)[] = [];

  private constructor(server: Server, url: string) {
    this.#server = server;
    this.url = url;
  }

  static async start(behaviour: "answer" | "hang"): Promise<OtlpReceiver> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error(`not a TCP address: ${address}`);
    const receiver = new OtlpReceiver(server, `http://127.0.0.1:${address.port}`);
    server.on("request", (request, response) => {
      const chunks: Uint8Array<ArrayBuffer>[] = [];
      request.on("data", (chunk: Uint8Array<ArrayBuffer>) => chunks.push(chunk));
      request.on("end", () => {
        if (behaviour === "answer") response.writeHead(200, { "content-type": "application/json" }).end("{}");
        receiver.#take(parsePush(request.url ?? "", request.headers, Buffer.concat(chunks).toString()));
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

  #take(push: Push): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#pushes.push(push);
    else waiting(push);
  }
}

function parsePush(path: string, headers: IncomingHttpHeaders, body: string): Push {
  const { resourceMetrics } = v.parse(bodySchema, JSON.parse(body));
  const attributes = resourceMetrics.flatMap(({ resource }) => resource.attributes);
  const metrics = resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics));
  return {
    path,
    headers,
    resource: Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue])),
    samples: (constantLabel) => new Map(metrics.flatMap((metric) => samplesOf(metric, constantLabel))),
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
