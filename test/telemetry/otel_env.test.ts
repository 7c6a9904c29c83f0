import { expect, test } from "bun:test";
import { OtelEnv, otlpTarget } from "../../src/telemetry/otel_env.ts";
const BASE = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318/" };

const cases: readonly (readonly [string, Readonly<Record<string, string>>, ReturnType<typeof otlpTarget>])[] = [
  ["nothing is set", {}, undefined],
  ["a base is set", BASE, { url: "http://collector:4318/v1/logs", protocol: "http/protobuf" }],
  [
    "the signal has its own endpoint and protocol",
    {
      ...BASE,
      OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "https://logs/x",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf",
      OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: "http/json",
    },
    { url: "https://logs/x", protocol: "http/json" },
  ],
  ["the exporter is none", { ...BASE, OTEL_LOGS_EXPORTER: "none" }, undefined],
  ["the exporter is another", { ...BASE, OTEL_LOGS_EXPORTER: "prometheus" }, undefined],
  [
    "the exporters hold otlp and there is no endpoint",
    { OTEL_LOGS_EXPORTER: "console, otlp" },
    { url: "http://localhost:4318/v1/logs", protocol: "http/protobuf" },
  ],
  ["the exporter is empty", { ...BASE, OTEL_LOGS_EXPORTER: "" }, {
    url: "http://collector:4318/v1/logs",
    protocol: "http/protobuf",
  }],
  ["the SDK is disabled", { ...BASE, OTEL_SDK_DISABLED: "TRUE" }, undefined],
  ["another signal has an endpoint", { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://traces" }, undefined],
];

for (const [when, env, target] of cases) {
  test(`otlpTarget follows the standard variables when ${when}`, () => {
    expect(otlpTarget(new OtelEnv(env), "logs")).toEqual(target);
  });
}

test("otlpTarget pushes nothing to what is no http URL, takes protobuf for a protocol it does not know, and notes both", () => {
  for (const endpoint of ["nowhere", "localhost:4318", "grpc://collector:4317", "http://"]) {
    const env = new OtelEnv({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint });
    expect([otlpTarget(env, "logs"), env.problems.map(({ variable }) => variable)]).toEqual([
      undefined,
      ["OTEL_EXPORTER_OTLP_ENDPOINT"],
    ]);
  }
  const env = new OtelEnv({ ...BASE, OTEL_EXPORTER_OTLP_PROTOCOL: "grcp" });
  expect(otlpTarget(env, "logs")?.protocol).toBe("http/protobuf");
  expect(env.problems).toEqual([
    { variable: "OTEL_EXPORTER_OTLP_PROTOCOL", value: "grcp", used: "http/protobuf" },
  ]);
});
