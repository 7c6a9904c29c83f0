/**
 * Installs the dependencies with the runtime that runs this script, unless node_modules is already made from the lock
 * file as it is. With `--lock`, on Deno, it writes deno.lock anew instead. Imports nothing from npm: it runs before
 * anything is installed.
 */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import process from "node:process";
import { isInstalled, writeStamp } from "./install_stamp.ts";

/**
 * Deno installs what the server and the tests import: a machine with Deno alone has no use for the other development
 * tools.
 */
function denoInstall(): readonly string[] {
  return ["install", "--quiet", "--prod", "--entrypoint", ...globSync("test/**/*.test.ts").toSorted()];
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

if (process.argv.includes("--lock")) {
  run([...denoInstall(), "--lockfile-only"]);
} else if (!isInstalled()) {
  run(process.versions["bun"] === undefined ? denoInstall() : ["install", "--frozen-lockfile"]);
  writeStamp();
}
