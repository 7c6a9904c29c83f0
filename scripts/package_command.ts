#!/usr/bin/env node
/**
 * The command of the npm package: starts the server in this process if it is Bun or Deno; otherwise, in Node, with the
 * Bun or the Deno that it finds or brings.
 */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { constants, homedir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";

/** A program that can run the server. */
interface Runtime {
  readonly name: "bun" | "deno";
  readonly path: string;
  readonly version: string;
}

const SERVER = join(import.meta.dirname, "..", "server", "main.js");
/** A project's .env and bunfig.toml are for its own programs; the latter can even have code run first. */
const FLAGS = {
  bun: ["--no-env-file", "--config=/dev/null"],
  deno: ["run", "--allow-all", "--no-config", "--unstable-net", "--v8-flags=--max-semi-space-size=4"],
};
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGUSR2"] as const;

/** The program of this name in PATH, unless it is older than the version that the server was tested with. */
function find(name: Runtime["name"], tested: string): Runtime | undefined {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const path = join(folder, name);
    const version = existsSync(path) ? versionOf(path) : undefined;
    if (version !== undefined && !isOlder(version, tested)) return { name, path, version };
  }
  return undefined;
}

function versionOf(path: string): string | undefined {
  try {
    const text = execFileSync(path, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return /\d+\.\d+\.\d+/.exec(text)?.[0];
  } catch {
    return undefined;
  }
}

/** Compares the major and the minor version. */
function isOlder(version: string, tested: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [testedMajor = 0, testedMinor = 0] = tested.split(".").map(Number);
  return major < testedMajor || (major === testedMajor && minor < testedMinor);
}

/** Installs Bun from npm in the user's cache, once. Throws if npm cannot. */
function bring(version: string): Runtime {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const folder = join(cache, "vitrine", `bun-${version}`);
  const path = join(folder, "node_modules", ".bin", "bun");
  if (versionOf(path) === undefined) {
    say(`no Bun ${version} or Deno in PATH, installing Bun in ${folder}`);
    mkdirSync(folder, { recursive: true });
    const npm = ["install", "--silent", "--no-save", "--no-audit", "--no-fund", "--prefix", folder, `bun@${version}`];
    execFileSync("npm", npm, { stdio: ["ignore", "ignore", "inherit"] });
  }
  return { name: "bun", path, version };
}

/** Runs the server as a child, passes it the signals, and ends as it ends. */
function start({ name, path }: Runtime): void {
  const child = spawn(path, [...FLAGS[name], SERVER, ...process.argv.slice(2)], { stdio: "inherit" });
  for (const signal of SIGNALS) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => fail(`cannot start ${path}: ${error.message}`));
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
}

function say(text: string): void {
  process.stderr.write(`vitrine: ${text}\n`);
}

function fail(reason: string): never {
  say(reason);
  process.exit(1);
}

if (process.versions.bun !== undefined || process.versions["deno"] !== undefined) {
  await import(pathToFileURL(SERVER).href);
} else {
  const { runtimes } = JSON.parse(readFileSync(join(import.meta.dirname, "..", "package.json"), "utf8"));
  try {
    const runtime = find("bun", runtimes.bun) ?? find("deno", runtimes.deno) ?? bring(runtimes.bun);
    say(`on ${runtime.name} ${runtime.version}, ${runtime.path}`);
    start(runtime);
  } catch (error) {
    fail(`cannot start: ${error instanceof Error ? error.message : String(error)}`);
  }
}
