import { expect, test } from "bun:test";
import { otlpTarget } from "../../src/telemetry/otlp_target.ts";

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
    expect(otlpTarget(env, "logs")).toEqual(target);
  });
}

test("otlpTarget refuses in one line what is no URL and no protocol of ours", () => {
  expect(() => otlpTarget({ OTEL_EXPORTER_OTLP_ENDPOINT: "nowhere" }, "logs")).toThrow(
    "OTLP endpoint is not a URL: nowhere",
  );
  expect(() => otlpTarget({ ...BASE, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }, "logs")).toThrow(
    "OTLP protocol is neither http/protobuf nor http/json: grpc",
  );
});
