import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FolderLock } from "../../../src/l2/file/lock.ts";

test("FolderLock.acquire waits and goes on when the folder is new and somebody else just looks at it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "vitrine-lock-"));
  const path = join(folder, "lock.sqlite");
  // Holds SQLite's shared lock on a database without a table, as another thread does in the middle of its own attempt.
  const other = new DatabaseSync(path);
  other.exec("BEGIN");
  other.prepare("SELECT * FROM sqlite_master").all();
  const acquiring = FolderLock.acquire(path);
  other.exec("ROLLBACK");
  other.close();
  const lock = await acquiring;
  expect(lock.alone).toBe(true);
  lock.release(() => {});
  rmSync(folder, { recursive: true });
});
