import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import manifest from "../../package.json" with { type: "json" };
import { accessText, type Config, loadConfig, publicConfig } from "../config.ts";
import { ConfigError } from "../config/setting_sources.ts";
import { causeText, VitrineError } from "../core/errors.ts";
import { formatSize } from "../core/size.ts";
import { checkTiers } from "../l2/mod.ts";
import { shownUrl } from "../l2/file/url.ts";
import { assumedText, Descriptors, type HostFacts, hostFacts, print, reportError } from "../runtime/host.ts";
import { type RunningCluster, startCluster } from "./cluster.ts";
import { EXIT, REOPEN_SIGNAL, StartAborted, Stopper, type StopSignal } from "./stopper.ts";
import { runTokenCommand } from "./token_command.ts";

/** Options of `serve`. */
export interface ServeOptions {
  /** The signals that stop the server. */
  readonly signals: readonly StopSignal[];
  /** Called when `serve` has set its own handlers for the signals. */
  readonly onListening: () => void;
}

/** The settings; undefined if a flag asked for a text, which is printed then. */
function settings(host: HostFacts): Config | undefined {
  const loaded = loadConfig({
    args: process.argv.slice(2),
    env: process.env,
    readFile: (path) => existsSync(path) ? readFileSync(path, "utf8") : undefined,
    ...host,
    version: manifest.version,
    checkTiers,
  });
  if ("config" in loaded) return loaded.config;
  print(console.log, loaded.text);
  return undefined;
}

/** The line that is printed when the server has started: its addresses and its main settings. */
function startLine(
  config: Config,
  { address, adminAddress, assumptions }: RunningCluster & HostFacts,
): string {
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  const l2 = publicConfig(config).l2.map(shownUrl).join(",") || "none";
  const scheme = config.tlsCert === undefined ? "http" : "https";
  return `vitrine ${manifest.version} on ${scheme}://${host}:${address.port} ` +
    `admin=${adminAddress.port} workers=${config.workers} l1=${
      formatSize(config.l1SizeBytes)
    } l2=${l2} write=${config.write} ` +
    `observability=${config.observability ? "on" : "off"} connections=${Descriptors.own().room() ?? "?"}${
      assumedText(assumptions)
    }${accessText(config)}`;
}

/** Prints in one line why the server does not start, and ends the process. */
function refuse(error: unknown): never {
  print(console.error, `vitrine: ${causeText(error)}`);
  if (error instanceof StartAborted) process.exit(EXIT.done);
  const isUsage = error instanceof ConfigError || (error instanceof VitrineError && error.code === "bad_request");
  process.exit(isUsage ? EXIT.usage : EXIT.failed);
}

/** Reads the first line of the input. */
async function readLine(): Promise<string> {
  const lines = createInterface({ input: process.stdin });
  try {
    for await (const line of lines) return line;
    return "";
  } finally {
    lines.close();
  }
}

/** Sets the handlers of the signals that stop the server. */
function stopOnSignals(timeoutMs: number, signals: readonly StopSignal[]): Stopper {
  const stopper = new Stopper({
    timeoutMs,
    nowMs: () => performance.now(),
    after: (ms, callback) => void setTimeout(callback, ms),
    say: (line) => print(console.error, line),
    exit: (code) => process.exit(code),
  });
  for (const signal of signals) process.on(signal, () => stopper.heard(signal));
  return stopper;
}

/**
 * Runs the command line: makes a token; or reads the settings, starts the server, prints the start line and stops at a
 * signal.
 * Never throws: a failure is printed, and ends the process.
 */
export async function serve({ signals, onListening }: ServeOptions): Promise<void> {
  try {
    const [command, ...args] = process.argv.slice(2);
    if (command === "token") {
      onListening();
      await runTokenCommand({
        args,
        env: process.env,
        print: (line) => print(console.log, line),
        say: (line) => print(console.error, line),
        readLine,
      });
      return;
    }
    const host = hostFacts();
    const config = settings(host);
    if (config === undefined) return;
    const stopper = stopOnSignals(config.shutdownTimeoutMs, signals);
    onListening();
    const { startAborted: signal } = stopper;
    const server = await startCluster({ config, version: manifest.version, env: process.env, reportError, signal });
    process.on(REOPEN_SIGNAL, () => server.reopenLogs());
    if (stopper.started(server)) print(console.log, startLine(config, { ...server, ...host }));
  } catch (error) {
    refuse(error);
  }
}
