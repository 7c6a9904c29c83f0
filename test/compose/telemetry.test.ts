import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startSingle } from "../../src/compose/single.ts";
import { pattern } from "../http/contract_client.ts";
import { parsePrometheusText } from "../support/prometheus_text.ts";
import { OtlpReceiver, type Push } from "../telemetry/otlp_receiver.ts";
import { serverOptions } from "./server_options.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = `00-${TRACE}-00f067aa0ba902b7-01`;

let folder = "";
let receiver: OtlpReceiver;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "vitrine-telemetry-"));
  receiver = await OtlpReceiver.start("answer");
});

afterEach(async () => {
  await receiver.stop();
  rmSync(folder, { recursive: true, force: true });
});

function start(env: Readonly<Record<string, string>>, ...args: readonly string[]) {
  const tier = `file://${folder}/l2`;
  return startSingle(serverOptions(["--port", "0", "--l1-size", "32MiB", "--l2", tier, ...args], { env }));
}

async function nextOf(path: string): Promise<Push> {
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- pushes come one after the other
    const push = await receiver.next();
    if (push.path === path) return push;
  }
}

test("a traced request is a child of its caller's span at the collector when the server stops", async () => {
  const server = await start({
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_TRACES_SAMPLER: "parentbased_always_off",
  });
  const url = `http://127.0.0.1:${server.address.port}/v1/objects/a`;
  const put = await fetch(url, { method: "PUT", body: pattern(1000), headers: { traceparent: PARENT } });
  const get = await fetch(url);
  await get.arrayBuffer();
  await server.stop();
  const [, , spanId] = put.headers.get("traceparent")?.split("-") ?? [];
  const spans = (await nextOf("/v1/traces")).spans();
  const told = spans.map(({ name, traceId, parentSpanId }) => `${name} ${traceId} ${parentSpanId}`);
  expect(told.toSorted()).toEqual([
    `PUT /v1/objects/{key} ${TRACE} 00f067aa0ba902b7`,
    `l2.store ${TRACE} ${spanId}`,
    `storage.write ${TRACE} ${spanId}`,
  ]);
  expect(spans.find(({ kind }) => kind === 2)?.spanId).toBe(spanId);
  expect(get.headers.get("traceparent")).toBeNull();
});

test("the request log tells of every request, and /metrics of none that waits, when it is switched on", async () => {
  const path = join(folder, "requests.jsonl");
  const server = await start({}, "--request-log", path);
  const url = `http://127.0.0.1:${server.address.port}`;
  await fetch(`${url}/v1/objects/a`, { method: "PUT", body: pattern(1000), headers: { "vitrine-tenant": "t" } });
  await (await fetch(`${url}/v1/objects/b`)).arrayBuffer();
  const samples = parsePrometheusText(await (await fetch(`${url}/metrics`)).text());
  await server.stop();
  const lines = readFileSync(path, "utf8").trimEnd().split("\n").map((line): unknown => JSON.parse(line));
  expect(lines).toMatchObject([
    { method: "PUT", tenant: "t", status: 201, request_bytes: 1000, write: "stored", written_bytes: 1000 },
    { method: "GET", tenant: "", status: 404, result: "miss", tiers: [{ op: "lookup", outcome: "miss" }] },
    { method: "GET", route: "/metrics", status: 200, tiers: [] },
  ]);
  const pending = samples.filter(({ name }) => name === "vitrine_pending_correlations");
  expect(pending.map(({ labels, value }) => [labels["subscriber_name"], value])).toEqual([
    ["tracing.requests", 0],
    ["tracing.storage", 0],
    // The scrape itself.
    ["logging.request_log", 1],
  ]);
});

test("the server answers as ever and counts its failed pushes when the collector refuses all", async () => {
  receiver.behaviour = { status: 503, retryAfter: "60" };
  const server = await start({
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_BSP_SCHEDULE_DELAY: "1",
    OTEL_METRICS_EXPORTER: "none",
  });
  const url = `http://127.0.0.1:${server.address.port}`;
  const failed = async (): Promise<number> => {
    const samples = parsePrometheusText(await (await fetch(`${url}/metrics`)).text());
    const isFailed = (labels: Readonly<Record<string, string>>) =>
      labels["signal"] === "traces" && labels["outcome"] === "failed";
    return samples.find(({ name, labels }) => name === "vitrine_otlp_exports_total" && isFailed(labels))?.value ?? NaN;
  };
  expect(await failed()).toBe(0);
  await receiver.next();
  // oxlint-disable-next-line no-await-in-loop -- each scrape is a request of its own
  while (await failed() === 0) await receiver.next();
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  await server.stop();
});
