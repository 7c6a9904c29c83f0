import { expect, test } from "bun:test";
import { globSync, readFileSync } from "node:fs";
import { rows } from "../../deploy/grafana/panels.ts";
import manifest from "../../package.json" with { type: "json" };
import { settingDocs } from "../../src/config/settings.ts";
import { variableName } from "../../src/config/setting_sources.ts";
import { metricFamilies } from "../../src/subscribers/metrics/mod.ts";

const read = (path: string) => readFileSync(path, "utf8");

for (const runtime of ["bun", "deno"] as const) {
  test(`${runtime}.Dockerfile starts from the version that package.json pins when it is built`, () => {
    const [, version] = /^ARG RUNTIME=\S+?:(\d+\.\d+\.\d+)/m.exec(read(`deploy/docker/${runtime}.Dockerfile`)) ?? [];
    expect(version).toBe(manifest.devDependencies[runtime]);
  });
}

test("files of deploy/ name only settings that exist when they set VITRINE_ variables", () => {
  const known = new Set(settingDocs().map(({ name }) => variableName(name)));
  const files = globSync(["deploy/docker/*", "deploy/*.yaml", "deploy/kubernetes/*"]);
  // Comments may tell of traps.
  const named = files.flatMap((path) => read(path).replaceAll(/^\s*#.*$/gm, "").match(/\bVITRINE_[A-Z0-9_]+/g) ?? []);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
  expect(named.length).toBeGreaterThan(0);
});

test("panels name only settings that exist when they say what to do", () => {
  const known = new Set(settingDocs().map(({ name }) => variableName(name)));
  const named = rows.flatMap(({ panels }) => panels)
    .flatMap(({ question, action }) => `${question} ${action}`.match(/\bVITRINE_[A-Z0-9_]+/g) ?? []);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});

test("docs/OBSERVABILITY.md tells of every panel of the dashboard what it asks, and what to do", () => {
  const docs = read("docs/OBSERVABILITY.md");
  for (const { title, question, action } of rows.flatMap(({ panels }) => panels)) {
    expect(docs).toContain(`| ${title} | ${question} | ${action} |`);
  }
});

test("the stack's Collector is of the version that the suites build when compose starts it", () => {
  const [, version] = /opentelemetry-collector-contrib:(\S+)/.exec(read("deploy/compose.yaml")) ?? [];
  expect(read("test/e2e/tools/otelcol.yaml")).toContain(`\n  version: ${version}\n`);
});

test("dashboard and rules name only metrics that exist when they ask for series of ours", () => {
  const texts = [...globSync("deploy/prometheus/rules/*.yml").map(read), ...queries()];
  const named = texts.flatMap((text) =>
    text.match(/(?<![:\w])(?:vitrine|lmcache_mp|http_server)_[a-z0-9_A-Z]+(?![:\w])/g) ?? []
  );
  const metrics = new Set(metricFamilies.flatMap((family) => family.metrics).map(({ name }) => name));
  const unknown = named.filter((name) =>
    !metrics.has(name.replace(/_(?:bucket|sum|count)$/, "")) && !metrics.has(name)
  );
  expect(Array.from(new Set(unknown))).toEqual([]);
});

function queries(): readonly string[] {
  return rows.flatMap(({ panels }) => panels).flatMap(({ queries }) => queries).map(({ expr }) => expr);
}
