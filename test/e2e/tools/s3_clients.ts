import { copyFileSync, existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "./cache_folder.ts";
import { unpackedPackage } from "./debian.ts";
import { run } from "./run.ts";

const PYTHON_PACKAGES = ["boto3==1.44.8", "s3cmd==2.4.0"];
const NODE_PACKAGES = {
  "@aws-sdk/client-s3": "3.1175.0",
  "@aws-sdk/lib-storage": "3.1175.0",
  "@aws-sdk/s3-request-presigner": "3.1169.0",
};

/** The folder of the programs of a Python with boto3 and s3cmd, outside the tree. */
export function pythonClients(): string {
  const folder = join(cacheFolder("s3-clients"), PYTHON_PACKAGES.join("_"));
  if (!existsSync(folder)) {
    rmSync(`${folder}.new`, { recursive: true, force: true });
    run("python3", ["-m", "venv", `${folder}.new`]);
    run(join(`${folder}.new`, "bin", "python"), ["-m", "pip", "install", "--quiet", ...PYTHON_PACKAGES]);
    renameSync(`${folder}.new`, folder);
  }
  return join(folder, "bin");
}

/** Puts a script beside the AWS SDK for JavaScript, outside the tree, and returns its new path. */
export function besideAwsSdk(script: string): string {
  const folder = join(cacheFolder("s3-clients"), `aws-sdk-${NODE_PACKAGES["@aws-sdk/client-s3"]}`);
  if (!existsSync(folder)) {
    const work = cacheFolder(join("s3-clients", "aws-sdk.new"));
    writeFileSync(join(work, "package.json"), JSON.stringify({ private: true, dependencies: NODE_PACKAGES }));
    run("bun", ["install", "--silent"], { cwd: work });
    renameSync(work, folder);
  }
  const path = join(folder, "script.mjs");
  copyFileSync(script, path);
  return path;
}

/** The program rclone, from Debian's package. */
export function rcloneProgram(): string {
  return join(unpackedPackage("rclone"), "usr", "bin", "rclone");
}
