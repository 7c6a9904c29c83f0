import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import manifest from "../package.json" with { type: "json" };
import { type Config, loadConfig } from "./config.ts";
import { ConfigError } from "./config/config_error.ts";
import { exposureWarning } from "./config/exposure_warning.ts";
import { publicConfig } from "./config/public_config.ts";
import { formatSize } from "./core/size.ts";
import { VitrineError } from "./core/errors.ts";
import { cpuCount } from "./runtime/cpu_count.ts";
import { memoryLimitBytes } from "./runtime/memory_limit.ts";
import type { RunningServer } from "./compose/server.ts";
import { type RunningCluster, startCluster } from "./compose/cluster.ts";
import { StartFailure } from "./compose/cluster/supervisor.ts";

/** Exit codes: a graceful stop; a failure; settings that cannot be used. */
const EXIT = { done: 0, failed: 1, usage: 2 } as const;

/** The settings, or undefined if a flag asked for a text, which is printed. */
function settings(): Config | undefined {
  const loaded = loadConfig({
    args: process.argv.slice(2),
    env: process.env,
    readFile: (path) => existsSync(path) ? readFileSync(path, "utf8") : undefined,
    memoryLimitBytes: memoryLimitBytes(),
    cpuCount: cpuCount(),
    version: manifest.version,
  });
  if ("config" in loaded) return loaded.config;
  console.log(loaded.text);
  return undefined;
}

/** The one line that says where the server is and what it works with. */
function startLine(config: Config, { address, adminAddress }: RunningCluster): string {
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  const l2 = publicConfig(config).l2.join(",") || "none";
  return `vitrine ${manifest.version} on http://${host}:${address.port} ` +
    `admin=${adminAddress.port} workers=${config.workers} l1=${
      formatSize(config.l1SizeBytes)
    } l2=${l2} write=${config.write} ` +
    `observability=${config.observability ? "on" : "off"}${exposureWarning(config)}`;
}

function reportError(error: unknown): void {
  console.error(error);
}

/** Says in one line why the server does not start. */
function refuse(error: unknown): never {
  if (error instanceof ConfigError) {
    console.error(`vitrine: ${error.message}`);
    process.exit(EXIT.usage);
  }
  if (error instanceof VitrineError || error instanceof StartFailure || isSystemError(error)) {
    console.error(`vitrine: ${error.message}`);
    process.exit(EXIT.failed);
  }
  throw error;
}

/** An error that the operating system reported, such as a port in use. */
function isSystemError(error: unknown): error is Error {
  return error instanceof Error && ("code" in error || error.name === "AddrInUse" || error.name === "PermissionDenied");
}

/** Stops gracefully at the first signal, at once at the second. */
function stopOnSignals(server: RunningServer, timeoutMs: number): void {
  let stopping = false;
  const onSignal = async () => {
    if (stopping) process.exit(EXIT.failed);
    stopping = true;
    setTimeout(() => {
      console.error(`vitrine: stop: not finished within ${timeoutMs} ms`);
      process.exit(EXIT.failed);
    }, timeoutMs).unref();
    try {
      await server.stop();
      process.exit(EXIT.done);
    } catch (error) {
      reportError(error);
      process.exit(EXIT.failed);
    }
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void onSignal());
}

try {
  const config = settings();
  if (config !== undefined) {
    const server = await startCluster({ config, version: manifest.version, env: process.env, reportError });
    stopOnSignals(server, config.shutdownTimeoutMs);
    console.log(startLine(config, server));
  }
} catch (error) {
  refuse(error);
}
