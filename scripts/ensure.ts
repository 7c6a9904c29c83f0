/**
 * Installs the dependencies with the runtime that runs this script, unless node_modules is already made from the lock
 * file as it is. With `--server`, only what the server needs; with `--lock`, on Deno, it writes deno.lock anew instead.
 * Imports nothing from npm: it runs before anything is installed.
 */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import process from "node:process";
import { isInstalled, type Part, writeStamp } from "./install_stamp.ts";

/** Deno installs what these files import: a machine with Deno alone has no use for the other development tools. */
function denoInstall(part: Part): readonly string[] {
  const tests = part === "all" ? globSync("test/**/*.test.ts").toSorted() : [];
  return ["install", "--quiet", "--prod", "--entrypoint", "src/main.ts", ...tests];
}

/** The install script readies tools, which a server does not have. */
function bunInstall(part: Part): readonly string[] {
  return ["install", "--frozen-lockfile", ...(part === "all" ? [] : ["--production", "--ignore-scripts", "--silent"])];
}

/** Runs this runtime's own command line; exits with its code if it fails. */
function run(args: readonly string[]): void {
  const { status } = spawnSync(process.execPath, args, {
    // Standard output belongs to the program that is started next.
    stdio: ["ignore", 2, 2],
    // Deno trusts the certificates of the system only if it is told to.
    env: { DENO_TLS_CA_STORE: "mozilla,system", ...process.env },
  });
  if (status !== 0) process.exit(status ?? 1);
}

const part = process.argv.includes("--server") ? "server" : "all";
if (process.argv.includes("--lock")) {
  run([...denoInstall("all"), "--lockfile-only"]);
} else if (!isInstalled(part)) {
  if (part === "server") process.stderr.write("vitrine: installing what the server needs\n");
  run(process.versions["bun"] === undefined ? denoInstall(part) : bunInstall(part));
  writeStamp(part);
}
