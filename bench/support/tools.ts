import { spawnSync } from "node:child_process";

/** The commands the bench needs, and Debian's packages they are in. */
const packages: Readonly<Record<string, string>> = { wrk: "wrk", nginx: "nginx", taskset: "util-linux" };

function isMissing(command: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${command}`], { stdio: "ignore" }).status !== 0;
}

/** Installs from Debian's packages what is not there. Throws if that fails. */
export function ensureTools(): void {
  const missing = Object.entries(packages).filter(([command]) => isMissing(command)).map(([, name]) => name);
  if (missing.length === 0) return;
  spawnSync("apt-get", ["update"], { stdio: "ignore" });
  const { status } = spawnSync("apt-get", ["install", "--yes", "--no-install-recommends", ...missing], {
    stdio: "inherit",
  });
  if (status !== 0) throw new Error(`install tools: apt-get failed: ${missing.join(" ")}`);
}
