import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isInstalled, writeStamp } from "../../scripts/install_stamp.ts";

const folder = mkdtempSync(join(tmpdir(), "vitrine-stamp-"));
mkdirSync(join(folder, "node_modules"));
writeFileSync(join(folder, "package.json"), "{}");
writeFileSync(join(folder, "bun.lock"), "one");
afterAll(() => rmSync(folder, { recursive: true }));

const installed = () => ({ server: isInstalled("server", folder), all: isInstalled("all", folder) });

test("isInstalled tells what the server needs from everything, until the lock file changes", () => {
  expect(installed()).toEqual({ server: false, all: false });
  writeStamp("server", folder);
  expect(installed()).toEqual({ server: true, all: false });
  writeStamp("all", folder);
  expect(installed()).toEqual({ server: true, all: true });
  writeFileSync(join(folder, "bun.lock"), "two");
  expect(installed()).toEqual({ server: false, all: false });
});
