/**
 * A process that stores objects durably, one after the other, and prints the number of each one acknowledged, until it
 * is killed.
 */
import process from "node:process";
import { openOwnFolder } from "../../../src/l2/file/adapter.ts";
import { key, newBench, pattern, sourceOf } from "../support.ts";

const [path = "", recordLimitBytes] = process.argv.slice(2);
const settings = { name: "fs", path, limitBytes: 0, sync: true, recordLimitBytes: Number(recordLimitBytes) };
const { adapter } = openOwnFolder({ ...newBench(), ...settings });
for (let n = 0;; n += 1) {
  const at = key(`${n % 10}`);
  // The deletion and the store after it are acknowledged together.
  if (n % 5 === 0) await adapter.delete(at);
  await adapter.store(at, sourceOf(pattern(50_000, n)));
  // The parent may be busy and its pipe full: nothing more is acknowledged before this line has left.
  await new Promise<void>((resolve) => void process.stdout.write(`${n}\n`, () => resolve()));
}
