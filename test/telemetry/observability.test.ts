import { expect, test } from "bun:test";
import { systemClock } from "../../src/core/clock.ts";
import { initObservability } from "../../src/telemetry/mod.ts";
import { OtlpReceiver } from "./otlp_receiver.ts";

const JSON_FORM = { OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" };
const DEFAULTS = { clock: systemClock, version: "1.2.3", instanceId: "instance-1" };

/** The samples of a Prometheus text by series; throws on a line that is no sample. */
function parse(text: string): ReadonlyMap<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => {
    const sample = /^(?<series>[a-z_]+(?:\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)+\})?) (?<value>[-+.\de]+)$/i.exec(line)
      ?.groups;
    if (sample === undefined) throw new Error(`not a sample: ${line}`);
    return [sample["series"] ?? "", Number(sample["value"])];
  }));
}

/** One instrument of each kind, with values. */
function fill(source: Awaited<ReturnType<typeof initObservability>>): void {
  source.meter.createCounter("apples_total", { description: "Apples.", unit: "{apple}" }).add(3, { sort: 'a"b' });
  source.meter.createObservableGauge("room_bytes", { description: "Room." }).addCallback((result) => result.observe(7));
  const options = { description: "Time.", unit: "s", bounds: [0.1, 1] };
  const histogram = source.createHistogram("time_seconds", options);
  histogram.record(0.1, { count: 3, attributes: { op: "a" } });
  histogram.record(0, { count: 0, attributes: { op: "b" } });
}

test("prometheusText shows every series with service_instance_id and without scope labels", async () => {
  const observability = await initObservability({ ...DEFAULTS, env: {} });
  fill(observability);
  const text = await observability.prometheusText();
  const id = 'service_instance_id="instance-1"';
  const samples = parse(text);
  expect(Math.abs((samples.get(`time_seconds_sum{op="a",${id}}`) ?? 0) - 0.3)).toBeLessThan(1e-12);
  expect(Object.fromEntries([...samples].filter(([series]) => !series.startsWith("time_seconds_sum")))).toEqual({
    [`target_info{service_name="vitrine",service_version="1.2.3",${id}}`]: 1,
    [`apples_total{sort="a\\"b",${id}}`]: 3,
    [`room_bytes{${id}}`]: 7,
    [`time_seconds_count{op="a",${id}}`]: 3,
    [`time_seconds_bucket{op="a",${id},le="0.1"}`]: 3,
    [`time_seconds_bucket{op="a",${id},le="1"}`]: 3,
    [`time_seconds_bucket{op="a",${id},le="+Inf"}`]: 3,
    [`time_seconds_count{op="b",${id}}`]: 0,
    [`time_seconds_bucket{op="b",${id},le="0.1"}`]: 0,
    [`time_seconds_bucket{op="b",${id},le="1"}`]: 0,
    [`time_seconds_bucket{op="b",${id},le="+Inf"}`]: 0,
  });
  expect(text).toContain("# TYPE time_seconds histogram");
  await observability.shutdown();
});

test("initObservability takes the resource from OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME", async () => {
  const env = {
    OTEL_RESOURCE_ATTRIBUTES: "service.instance.id=pod%2F7, service.name=other,team=a=b,broken,bad=%zz",
    OTEL_SERVICE_NAME: "cache",
  };
  const observability = await initObservability({ ...DEFAULTS, env });
  fill(observability);
  expect(await observability.prometheusText()).toContain(
    'target_info{service_name="cache",service_version="1.2.3",service_instance_id="pod/7",team="a=b"} 1',
  );
  await observability.shutdown();
});

test("prometheusText leaves out gauges that do not answer in time, and keeps the rest", async () => {
  const observability = await initObservability({ ...DEFAULTS, env: {}, collectTimeoutMs: 20 });
  fill(observability);
  const stuck = observability.meter.createObservableGauge("stuck_bytes");
  observability.meter.addBatchObservableCallback(() => new Promise(() => {}), [stuck]);
  const text = await observability.prometheusText();
  expect(text).toContain("apples_total{");
  expect(text).not.toContain("stuck_bytes");
  await observability.shutdown();
});

/** Each with a value that cannot be used, or is not all of what is used, and what is. */
const PROBLEMS: Readonly<Record<string, readonly [value: string, used: string]>> = {
  OTEL_SDK_DISABLED: ["yes", "false"],
  OTEL_METRICS_EXPORTER: ["otpl", "as if it were not set"],
  OTEL_LOGS_EXPORTER: ["otlp,console", "otlp"],
  OTEL_EXPORTER_OTLP_PROTOCOL: ["grcp", "http/protobuf"],
  OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: ["grpc", "http/protobuf"],
  OTEL_EXPORTER_OTLP_TIMEOUT: ["10s", "10000"],
  OTEL_EXPORTER_OTLP_COMPRESSION: ["zip", "none"],
  OTEL_EXPORTER_OTLP_CERTIFICATE: ["/nowhere.pem", "nothing: the file cannot be read"],
  OTEL_TRACES_SAMPLER: ["always", "parentbased_always_on"],
  OTEL_METRIC_EXPORT_INTERVAL: ["9999999999", "60000"],
  OTEL_METRIC_EXPORT_TIMEOUT: ["90000", "60000, the interval"],
  OTEL_BSP_SCHEDULE_DELAY: ["-1", "5000"],
  OTEL_BSP_EXPORT_TIMEOUT: ["1.5", "30000"],
  OTEL_BSP_MAX_QUEUE_SIZE: ["0", "2048"],
  OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: ["5000", "2048, as many as the queue holds"],
  OTEL_RESOURCE_ATTRIBUTES: ["a=b,nothing,c=%", "the 1 of 3 pairs that are key=value"],
  OTEL_EXPORTER_OTLP_ENDPONT: ["", "nothing: it is not read"],
};

test("initObservability names every value of the environment that it does not use, and what it uses instead", async () => {
  const env = Object.fromEntries(Object.entries(PROBLEMS).map(([name, [value]]) => [name, value || "x"]));
  const observability = await initObservability({
    ...DEFAULTS,
    env: {
      ...env,
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9",
      OTEL_UNKNOWN: "x",
      OTEL_BLRP_SCHEDULE_DELAY: " 7 ",
    },
    shutdownTimeoutMs: 1,
  });
  const found = observability.problems.map(({ variable, value, used }) => [variable, [value, used]]);
  expect(Object.fromEntries(found)).toEqual(PROBLEMS);
  await observability.shutdown();
});

test("initObservability tells which header cannot be used and no secret", async () => {
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: "http://user:secret@127.0.0.1:9",
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20secret,secret,a b=secret",
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "htp://user:secret@collector",
  };
  const observability = await initObservability({ ...DEFAULTS, env, shutdownTimeoutMs: 1 });
  expect(JSON.stringify(observability.problems)).not.toContain("secret");
  expect(observability.problems).toMatchObject([
    { variable: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", value: "htp://***@collector" },
    { variable: "OTEL_EXPORTER_OTLP_HEADERS", value: "*** (pair 2, 3)", used: "the 1 of 3 pairs that are name=value" },
  ]);
  await observability.shutdown();
});

test("initObservability pushes the series and values that prometheusText shows, with the headers of the environment", async () => {
  const receiver = await OtlpReceiver.start("answer");
  process.env["OTEL_EXPORTER_OTLP_HEADERS"] = "x-token=secret";
  try {
    const observability = await initObservability({
      ...DEFAULTS,
      env: { ...JSON_FORM, OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_METRIC_EXPORT_INTERVAL: "25" },
    });
    fill(observability);
    const push = await receiver.next();
    expect(push.path).toBe("/v1/metrics");
    expect(push.headers["x-token"]).toBe("secret");
    expect(push.resource()).toMatchObject({ "service.name": "vitrine", "service.instance.id": "instance-1" });
    const samples = parse(await observability.prometheusText());
    const shown = [...samples].filter(([series]) => !series.startsWith("target_info"));
    expect(push.samples('service_instance_id="instance-1"')).toEqual(new Map(shown));
    await observability.shutdown();
  } finally {
    delete process.env["OTEL_EXPORTER_OTLP_HEADERS"];
    await receiver.stop();
  }
});

test("shutdown pushes once more", async () => {
  const receiver = await OtlpReceiver.start("answer");
  const env = { ...JSON_FORM, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${receiver.url}/own/path` };
  const observability = await initObservability({ ...DEFAULTS, env });
  fill(observability);
  const push = receiver.next();
  await observability.shutdown();
  expect((await push).path).toBe("/own/path");
  await receiver.stop();
});

test("shutdown ends in time when the collector never answers, and prometheusText works until then", async () => {
  const receiver = await OtlpReceiver.start("hang");
  const env = { ...JSON_FORM, OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_METRIC_EXPORT_INTERVAL: "25" };
  const observability = await initObservability({ ...DEFAULTS, env, shutdownTimeoutMs: 50 });
  fill(observability);
  await receiver.next();
  expect(await observability.prometheusText()).toContain("apples_total{");
  const startMs = performance.now();
  await observability.shutdown();
  expect(performance.now() - startMs).toBeLessThan(1000);
  await receiver.stop();
});
