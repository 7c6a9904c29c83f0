import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "./cache_folder.ts";
import { run } from "./run.ts";

let isUpdated = false;

function update(): void {
  if (isUpdated) return;
  run("apt-get", ["update", "-qq"]);
  isUpdated = true;
}

/** Installs Debian packages whose programs are not there yet: program name to package name. Needs root then. */
export function ensureInstalled(packages: Readonly<Record<string, string>>): void {
  const missing = Object.entries(packages).filter(([program]) => spawnSync("which", [program]).status !== 0);
  if (missing.length === 0) return;
  update();
  run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...missing.map(([, name]) => name)], {
    env: { DEBIAN_FRONTEND: "noninteractive" },
  });
}

/** Unpacks a Debian package into the cache, without installing it or starting its service, and returns the folder. */
export function unpackedPackage(name: string): string {
  const folder = join(cacheFolder("debian"), name);
  if (existsSync(folder)) return folder;
  const work = cacheFolder(join("debian", `${name}.new`));
  update();
  run("apt-get", ["download", name], { cwd: work });
  const [archive = ""] = readdirSync(work).filter((file) => file.endsWith(".deb"));
  run("dpkg-deb", ["-x", join(work, archive), join(work, "root")]);
  renameSync(join(work, "root"), folder);
  rmSync(work, { recursive: true });
  return folder;
}
