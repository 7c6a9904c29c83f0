import * as v from "valibot";
import type { Checks } from "../support/checks.ts";
import type { Client } from "../support/http/client.ts";
import { type Address, Connection } from "../support/http/connection.ts";
import { objectPath } from "../support/keys.ts";
import { until } from "../support/until.ts";
import type { Collector, FiledSignal } from "../tools/collector.ts";

/** 64 bits as text: more than a number holds. */
const nanoseconds = v.pipe(v.string(), v.transform((text) => BigInt(text)));
const attribute = v.object({ key: v.string(), value: v.record(v.string(), v.unknown()) });
const resource = v.object({ attributes: v.array(attribute) });
const span = v.object({
  traceId: v.string(),
  spanId: v.string(),
  parentSpanId: v.optional(v.string(), ""),
  name: v.string(),
  kind: v.number(),
  startTimeUnixNano: nanoseconds,
  endTimeUnixNano: nanoseconds,
});
const logRecord = v.object({
  timeUnixNano: nanoseconds,
  severityText: v.string(),
  body: v.object({ stringValue: v.string() }),
  traceId: v.optional(v.string(), ""),
});
const tracesLine = v.object({
  resourceSpans: v.array(v.object({ resource, scopeSpans: v.array(v.object({ spans: v.array(span) })) })),
});
const logsLine = v.object({
  resourceLogs: v.array(v.object({ resource, scopeLogs: v.array(v.object({ logRecords: v.array(logRecord) })) })),
});

const timeoutMs = 15_000;
const serverKind = 2;
/** Of requests by a client that traces. */
const readTrace = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" } as const;
const brokenTrace = { traceId: "1bf7651916cd43dd8448eb211c80319c", spanId: "c7ad6b7169203331" } as const;

function traceparent({ traceId, spanId }: { readonly traceId: string; readonly spanId: string }): string {
  return `00-${traceId}-${spanId}-01`;
}

/** What the checks need of the suite. */
export interface SignalParts {
  readonly client: Client;
  readonly address: Address;
  readonly collector: Collector;
}

/** Every resource must name the service, as the metrics do. */
function checkResources(
  signal: FiledSignal,
  resources: readonly v.InferOutput<typeof resource>[],
  checks: Checks,
): void {
  const names = resources.map(({ attributes }) =>
    attributes.find(({ key }) => key === "service.name")?.value["stringValue"]
  );
  checks.equal(`${signal}: service.name`, { actual: Array.from(new Set(names)), expected: ["vitrine"] });
}

function spansOf(collector: Collector) {
  return collector.lines("traces").flatMap((line) => v.parse(tracesLine, JSON.parse(line)).resourceSpans);
}

function logsOf(collector: Collector) {
  return collector.lines("logs").flatMap((line) => v.parse(logsLine, JSON.parse(line)).resourceLogs);
}

/**
 * An object that only the tier holds is read within a client's trace: one span for the request, and the load inside it.
 */
async function checkTraces({ client, collector }: SignalParts, checks: Checks): Promise<void> {
  const path = objectPath("traced");
  await client.request({ method: "PUT", path, body: new Uint8Array(5 * 1024 ** 2) });
  const startedNs = BigInt(Date.now()) * 1_000_000n;
  await client.request({ method: "GET", path, headers: { traceparent: traceparent(readTrace) } });
  const ours = () =>
    spansOf(collector).flatMap(({ scopeSpans }) => scopeSpans).flatMap(({ spans }) => spans)
      .filter(({ traceId }) => traceId === readTrace.traceId);
  const found = await until(() => Promise.resolve(ours()), (spans) => spans.length > 1, { timeoutMs });
  const root = found.find(({ parentSpanId }) => parentSpanId === readTrace.spanId);
  checks.equal("traces: the request's span", {
    actual: [root?.kind, root?.name],
    expected: [serverKind, "GET /v1/objects/{key}"],
  });
  const ids = new Set(found.map(({ spanId }) => spanId));
  const inner = found.filter((each) => each !== root);
  checks.that(
    "traces: spans inside the request's",
    inner.length > 0,
    () => JSON.stringify(found.map(({ name }) => name)),
  );
  checks.that(
    "traces: every inner span has its parent there",
    inner.every(({ parentSpanId }) => ids.has(parentSpanId)),
  );
  // The two clocks are one, but not read at the same moment.
  const slackNs = 5_000_000n;
  checks.that(
    "traces: spans lie within their request",
    root !== undefined && root.startTimeUnixNano >= startedNs - slackNs &&
      found.every((each) =>
        each.startTimeUnixNano <= each.endTimeUnixNano && each.startTimeUnixNano >= root.startTimeUnixNano - slackNs &&
        each.endTimeUnixNano <= root.endTimeUnixNano + slackNs
      ),
    () => JSON.stringify(found, (_, value: unknown) => typeof value === "bigint" ? String(value) : value),
  );
  checkResources("traces", spansOf(collector).map((each) => each.resource), checks);
  console.log(`traces: ${found.map(({ name }) => name).join(", ")}`);
}

/** A body that breaks off is worth a line, which names the client's trace. */
async function checkLogs({ address, collector }: SignalParts, checks: Checks): Promise<void> {
  const connection = await Connection.open(address);
  const cut = async function* () {
    yield new Uint8Array(1000);
    connection.close();
  };
  await connection.send({
    method: "PUT",
    path: objectPath("broken"),
    headers: { traceparent: traceparent(brokenTrace) },
    body: cut(),
    sizeBytes: 100_000,
  }).catch(() => undefined);
  const ours = () =>
    logsOf(collector).flatMap(({ scopeLogs }) => scopeLogs).flatMap(({ logRecords }) => logRecords)
      .filter(({ traceId }) => traceId === brokenTrace.traceId);
  const [found] = await until(() => Promise.resolve(ours()), (records) => records.length > 0, { timeoutMs });
  checks.equal("logs: a body that broke off", {
    actual: [found?.severityText, found?.body.stringValue],
    expected: ["INFO", "a body was cut short"],
  });
  checkResources("logs", logsOf(collector).map((each) => each.resource), checks);
}

/** What the Collector got of logs and traces, read back from the files it wrote. */
export async function checkLogsAndTraces(parts: SignalParts, checks: Checks): Promise<void> {
  await checkTraces(parts, checks);
  await checkLogs(parts, checks);
}
