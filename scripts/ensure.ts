/**
 * Installs the dependencies with the runtime that runs this script, unless node_modules is already what the lock file says.
 * With `--lock` it writes deno.lock anew instead. Imports nothing from npm: it runs before anything is installed.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";

/** Written after an install; holds the digest of the files that decide what is installed. */
const stampPath = "node_modules/.vitrine-installed";

function wantedStamp(): string {
  const hash = createHash("sha256");
  for (const path of ["package.json", "bun.lock"]) hash.update(readFileSync(path));
  return hash.digest("hex");
}

function currentStamp(): string | undefined {
  try {
    return readFileSync(stampPath, "utf8");
  } catch {
    return undefined;
  }
}

/** Deno installs what the server and the tests import: a machine with Deno alone has no use for the other development tools. */
function denoInstall(): readonly string[] {
  return ["install", "--quiet", "--prod", "--entrypoint", ...globSync("test/**/*.test.ts").toSorted()];
}

/** Runs this runtime's own command line and returns its exit code. */
function run(args: readonly string[]): number {
  // Standard output belongs to the program that is started next. Deno trusts the system's certificates only if told to.
  const { status } = spawnSync(process.execPath, args, {
    stdio: ["ignore", 2, 2],
    env: { DENO_TLS_CA_STORE: "mozilla,system", ...process.env },
  });
  return status ?? 1;
}

const isBun = process.versions["bun"] !== undefined;
const wanted = wantedStamp();
if (process.argv.includes("--lock")) {
  process.exitCode = run([...denoInstall(), "--lockfile-only"]);
} else if (currentStamp() !== wanted) {
  const status = run(isBun ? ["install", "--frozen-lockfile"] : denoInstall());
  if (status === 0) writeFileSync(stampPath, wanted);
  process.exitCode = status;
}
