import { expect, test } from "bun:test";
import { join } from "node:path";
import { FolderLock } from "../../../src/l2/file/lock.ts";
import { codeOf, inFolder } from "../support.ts";

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
