import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "./cache_folder.ts";
import { run } from "./run.ts";

const LMCACHE_VERSION = "0.5.6";
const SGLANG_VERSION = "0.5.23";

/**
 * The folder of the programs of a Python with LMCache, outside the tree: 6 GB, most of it the CUDA build of PyTorch,
 * which PyPI has no other of, and which runs without a GPU.
 */
export function lmcachePrograms(): string {
  const folder = join(cacheFolder("lmcache"), `lmcache-${LMCACHE_VERSION}`);
  if (!existsSync(folder)) {
    const work = `${folder}.new`;
    rmSync(work, { recursive: true, force: true });
    run("python3", ["-m", "venv", work]);
    const python = join(work, "bin", "python");
    run(python, ["-m", "pip", "install", "--quiet", "uv"]);
    // uv downloads in parallel and without a second copy: a minute in place of four.
    run(join(work, "bin", "uv"), [
      "pip",
      "install",
      "--quiet",
      "--no-cache",
      "--python",
      python,
      `lmcache==${LMCACHE_VERSION}`,
    ]);
    renameSync(work, folder);
  }
  return join(folder, "bin");
}

/**
 * A folder with the unpacked wheel of SGLang alone: without what it depends on, only its storage classes can be used.
 */
export function sglangSources(): string {
  const folder = join(cacheFolder("lmcache"), `sglang-${SGLANG_VERSION}`);
  if (!existsSync(folder)) {
    const python = join(lmcachePrograms(), "python");
    const work = `${folder}.new`;
    rmSync(work, { recursive: true, force: true });
    run(python, [
      "-m",
      "pip",
      "install",
      "--quiet",
      "--no-deps",
      "--no-compile",
      "--target",
      work,
      `sglang==${SGLANG_VERSION}`,
    ]);
    renameSync(work, folder);
  }
  return folder;
}
