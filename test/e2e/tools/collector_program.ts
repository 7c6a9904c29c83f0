import { createHash } from "node:crypto";
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "./cache_folder.ts";
import { run } from "./run.ts";

const manifest = "test/e2e/tools/otelcol.yaml";

/**
 * The path of an OpenTelemetry Collector, built with the project's own builder on the first call (some minutes) and
 * kept in the cache. The builder's own module step (`go mod tidy`) wants even what only the tests of modules import, of
 * which not all can be had: so it only writes the sources here.
 */
export function collectorProgram(): string {
  const text = readFileSync(manifest, "utf8");
  const name = `otelcol-${createHash("sha256").update(text).digest("hex").slice(0, 12)}`;
  const folder = cacheFolder("otelcol");
  const program = join(folder, name);
  if (existsSync(program)) return program;
  const version = /^ {2}version: (\S+)$/m.exec(text)?.[1];
  const work = cacheFolder(`otelcol/${name}.new`);
  console.log(`building OpenTelemetry Collector ${version}`);
  const go = (...args: readonly string[]) => run("go", args, { cwd: work, env: { GOBIN: work, CGO_ENABLED: "0" } });
  go("install", `go.opentelemetry.io/collector/cmd/builder@v${version}`);
  copyFileSync(manifest, join(work, "builder.yaml"));
  run(join(work, "builder"), ["--config", "builder.yaml", "--skip-compilation", "--skip-get-modules"], { cwd: work });
  const modules = Array.from(text.matchAll(/^ {2}- gomod: (\S+) (\S+)$/gm), ([, path, at]) => `${path}@${at}`);
  if (!existsSync(join(work, "go.mod"))) go("mod", "init", "vitrine.test/otelcol");
  go("get", ...modules, `go.opentelemetry.io/collector/otelcol@v${version}`);
  go("build", "-mod=mod", "-trimpath", "-ldflags=-s -w", "-o", "otelcol", ".");
  renameSync(join(work, "otelcol"), program);
  rmSync(work, { recursive: true });
  return program;
}
