import { execFileSync } from "node:child_process";
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";

/** Runs `body` with the path of a file system of its own, which fsfreeze can freeze. Throws if it cannot be mounted. */
export async function withLoopDisk(folder: string, body: (disk: string) => Promise<void>): Promise<void> {
  const disk = `${folder}/disk`;
  writeFileSync(`${disk}.img`, "");
  truncateSync(`${disk}.img`, 256 * 1024 * 1024);
  execFileSync("mkfs.ext4", ["-q", `${disk}.img`]);
  mkdirSync(disk);
  execFileSync("mount", ["-o", "loop", `${disk}.img`, disk]);
  try {
    await body(disk);
  } finally {
    execFileSync("umount", ["-l", disk]);
  }
}

/** Freezes a file system while `body` runs: whoever writes to it hangs in a system call. */
export async function whileFrozen(disk: string, body: () => Promise<void>): Promise<void> {
  execFileSync("fsfreeze", ["-f", disk]);
  try {
    await body();
  } finally {
    execFileSync("fsfreeze", ["-u", disk]);
  }
}
