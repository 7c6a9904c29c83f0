import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { FolderLock } from "../../../src/l2/file/store/identity.ts";
import { codeOf, inFolder } from "../support.ts";
import { withFolder } from "./folder.ts";

test("FolderLock refuses a second holder until the first has let go", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "lock.sqlite");
    const take = (): Promise<FolderLock> => Promise.resolve().then(() => new FolderLock(path));
    const first = await take();
    expect(await codeOf(take())).toBe("tier_failed");
    first.release();
    (await take()).release();
  });
});

const TAKE_LOCK = `import { DatabaseSync } from "node:sqlite";
new DatabaseSync(process.argv.at(-1)).exec("BEGIN EXCLUSIVE");`;

/** What another process says when it takes the lock of a database. */
function takeElsewhere(path: string): string {
  const runtime = process.versions["bun"] === undefined ? ["eval", "--ext=mjs"] : ["--eval"];
  return spawnSync(process.execPath, [...runtime, TAKE_LOCK, path], { encoding: "utf8" }).stderr;
}

test("the lock of a folder keeps other processes out when somebody has asked whether the folder can be used", async () => {
  await withFolder(async (folder) => {
    await folder.open();
    expect(folder.opened.store.trouble).toBeUndefined();
    expect(takeElsewhere(join(folder.path, "lock.sqlite"))).toContain("database is locked");
  });
});
