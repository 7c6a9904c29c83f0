/** A process that stores objects durably, one after the other, and prints the number of each one acknowledged, until it is killed. */
import process from "node:process";
import { openOwnFolder } from "../../../src/l2/file.ts";
import { key, newBench, pattern, sourceOf } from "../support.ts";

const path = process.argv[2] ?? "";
const { adapter } = openOwnFolder({ ...newBench(), name: "fs", path, limitBytes: 0, sync: true });
for (let n = 0;; n += 1) {
  const at = key(`${n % 10}`);
  // The deletion and the store after it are acknowledged together.
  if (n % 5 === 0) await adapter.delete(at);
  await adapter.store(at, sourceOf(pattern(50_000, n)));
  process.stdout.write(`${n}\n`);
}
